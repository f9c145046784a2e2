import type { KnownUserStatus, Lease, StatusQuery } from '../domain/ports/index.js';
import type { AcceptedClaims } from '../domain/verification/check-claims.js';
import type { Acceptance } from '../domain/verification/verify.js';
import type { KnownKey } from './key-cache.js';
import { RecentMap } from './recent-map.js';

export interface KnownToken {
  readonly token: string;
  readonly key: KnownKey;
  readonly claims: AcceptedClaims;
  /** Revocations are compared with it. */
  readonly issuedAt: number;
  /** Frozen, because callers share it. */
  readonly acceptance: Acceptance;
  readonly query: StatusQuery;
  /** NumericDate seconds, inclusive. */
  readonly validFrom: number;
  /** NumericDate seconds, exclusive. */
  readonly validUntil: number;
  verdict: Verdict | null;
  /** The last use that is known; undefined if none is. */
  lastSeen: number | undefined;
}

export interface Verdict {
  readonly lease: Lease;
  readonly user: KnownUserStatus;
  /** The revision of the security log that the verdict was last checked against. */
  revision: number;
}

const TAIL_CHARACTERS = 32;

/** Finds tokens by the end of their signatures, because hashing a token takes 1 µs. */
export class TokenCache {
  readonly #tokens: RecentMap<KnownToken>;

  constructor(maxSize: number) {
    this.#tokens = new RecentMap(maxSize);
  }

  get size(): number {
    return this.#tokens.size;
  }

  get(token: string): KnownToken | undefined {
    const known = this.#tokens.get(token.slice(-TAIL_CHARACTERS));
    return known?.token === token ? known : undefined;
  }

  set(known: KnownToken): void {
    this.#tokens.set(known.token.slice(-TAIL_CHARACTERS), known);
  }
}
