import type { MasterStatus } from '../domain/ports/index.js';
import type { ErrorCode } from '../domain/shared/errors.js';

/** The state of a store after its last request. */
export interface StoreHealth {
  /**
   * - `up`: it answers
   * - `degraded`: the database does not answer or is out of date, and known data is used; or some masters of
   *   the registry do not answer
   * - `down`: it does not answer, and all verifications fail as unavailable
   */
  state: 'up' | 'degraded' | 'down';
  /** When this state began, in NumericDate seconds. */
  since: number;
  /** The code of the error; null while it is up. */
  code: ErrorCode | null;
}

export interface LastHealth extends StoreHealth {
  /** NumericDate seconds of the last answer; null before the first. */
  answeredAt: number | null;
}

/** The state of a verifier, for readiness and metrics. */
export interface VerifierHealth {
  /** False if every verification would fail as unavailable. */
  isReady: boolean;
  database: StoreHealth;
  /** All masters together. A refused write does not count. */
  registry: StoreHealth;
  /** The servers that hold the registry. Each is read at least once per second. */
  masters: MasterStatus[];
  /**
   * Whether the registry accepted the last heartbeat. Never `down`. Commands stop waiting for this verifier
   * 10 s plus the clock tolerance after `answeredAt`.
   */
  heartbeats: LastHealth;
  /**
   * The uses of tokens that the registry has stored, and that it did not. `code` is the error of the last one, null if
   * it was stored, since `since`. Null without `token.idleTimeout`.
   */
  uses: { stored: number; failed: number; since: number; code: ErrorCode | null } | null;
  securityLog: {
    /** When the last successful read of the keys and the security log began; null before the first. */
    readAt: number | null;
    /** At most this many events are recorded but not read, according to the mark in Redis. Null without a mark. */
    eventsBehind: number | null;
  };
  keys: {
    /** Number of keys that tokens can be valid under. */
    trusted: number;
    /** The key that signs; null if there is none. */
    active: { kid: string; activatedAt: number } | null;
  };
  /** `hits`: signatures that were not checked again; `misses`: signatures that were. */
  signatures: { entries: number; hits: number; misses: number };
  /** `hits`: verdicts from memory; `misses`: verdicts from the registry. Null without a near cache. */
  nearCache: { hits: number; misses: number } | null;
}
