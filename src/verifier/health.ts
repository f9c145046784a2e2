import type { MasterStatus } from '../domain/ports/index.js';
import type { ErrorCode } from '../domain/shared/errors.js';

/** How a store answered when it was last asked. */
export interface StoreHealth {
  /**
   * - `up`: it answered
   * - `degraded`: the database did not answer or is out of date, and the verifier uses what it has read for now; or some
   *   masters of the registry did not answer, and tokens of their subjects are refused as unavailable
   * - `down`: it did not answer, and all tokens are refused as unavailable
   */
  state: 'up' | 'degraded' | 'down';
  /** Since when, in NumericDate seconds. */
  since: number;
  /** The code of what it failed with; null while it is up. */
  code: ErrorCode | null;
}

/** The same, with when it last answered, in NumericDate seconds; null before it first did. */
export interface LastHealth extends StoreHealth {
  answeredAt: number | null;
}

/** What a verifier knows of itself: for readiness, and for metrics. */
export interface VerifierHealth {
  /** Whether this verifier can verify; false if it would refuse every token as unavailable. */
  isReady: boolean;
  database: StoreHealth;
  /** The health of all masters together, by reads only. A refused write does not count. */
  registry: StoreHealth;
  /** Each server that serves a part of the registry. It is read at least once per second. */
  masters: MasterStatus[];
  /**
   * Whether the registry accepted the verifier's last heartbeat. Never `down`, and it does not affect readiness, because it is a
   * write. Commands no longer wait for this verifier from 10 s plus the clock tolerance after `answeredAt`.
   */
  heartbeats: LastHealth;
  keys: {
    /** Those that tokens are accepted under. */
    trusted: number;
    /** The key that signs; null where there is none. */
    active: { kid: string; activatedAt: number } | null;
  };
  /** Signatures that did not have to be checked again, and those that had to. */
  signatures: { entries: number; hits: number; misses: number };
  /** Verdicts that the process held itself, and those that the registry was asked for; null without a near cache. */
  nearCache: { hits: number; misses: number } | null;
}
