import type { TokenMeta } from '../model/token-meta.js';
import type { JwtctlError } from '../shared/errors.js';
import type { Registration } from './entry-store.js';

/** Keeps the state of sessions that can be refreshed: the last access token of each family. */
export interface FamilyStore {
  /**
   * Registers an entry, and makes it the last one of its family, atomically. Returns an outcome or the error
   * for each; a step may be done despite an error of kind `unavailable`, and may then be repeated.
   */
  advanceFamilies(steps: readonly FamilyStep[]): Promise<Array<FamilyOutcome | JwtctlError>>;

  /**
   * Starts the grace of these steps: their tokens are about to be returned. Until then, a step may be repeated at any
   * time. Steps that are no longer the last of their family, or whose grace has begun, stay as they are.
   */
  startGrace(steps: ReadonlyArray<{ sub: string; jti: string }>, now: number): Promise<void>;

  /**
   * Yields the subject's families that have not expired, in no order. One may be repeated.
   * @throws JwtctlError `ERR_REDIS_WRONG_TYPE` (state)
   */
  familyPages(sub: string, now: number): AsyncIterable<TokenFamily[]>;
}

export interface TokenFamily {
  family: string;
  /** The position of the last access token, from 0. */
  counter: number;
  /** The key and the `iat` of the last access token. */
  keyId: number;
  iat: number;
  startedAt: number;
  /** When the refresh token expires. */
  exp: number;
  meta: TokenMeta | null;
}

/**
 * The `jti` of the entry names the family and the counter. Counter 0 starts a family, and with more than `limit.above`,
 * removes the oldest others by the `iat` of their last entry, then by name, until `limit.most` are left.
 */
export interface FamilyStep extends Registration {
  family: {
    startedAt: number;
    exp: number;
    graceSeconds: number;
    limit: { most: number; above: number };
  };
}

export type FamilyOutcome =
  /** Also if the family lacked earlier steps, which a failover lost. */
  | { state: 'advanced' }
  /** The same step was made, and its grace is not over by the server's clock. `iat` is that of its entry. */
  | { state: 'replayed'; iat: number }
  /** The same or a later step was made before. Nothing was changed. */
  | { state: 'reused' }
  /** The registry has no such family: it expired, was removed, or was lost. */
  | { state: 'unknown' }
  /** `onLimit` refused the entry. Nothing was changed. */
  | { state: 'limited' };
