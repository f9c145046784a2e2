import type { MasterStatus } from '../domain/ports.js';

/** How a store answered when it was last asked. */
export interface StoreHealth {
  /**
   * - `up`: it answered
   * - `degraded`: of the database, it did not, and what is known of it serves on for a while; of the registry, some of its
   *   masters did not, and tokens of their subjects are refused as unavailable
   * - `down`: it did not, and all tokens are refused as unavailable
   */
  state: 'up' | 'degraded' | 'down';
  /** Since when, in NumericDate seconds. */
  since: number;
  /** The code of what it failed with; null while it is up. */
  code: string | null;
}

/** The same, with when it last answered, in NumericDate seconds; null before it first did. */
export interface LastHealth extends StoreHealth {
  answeredAt: number | null;
}

/** What a verifier knows of itself: for readiness, and for metrics. */
export interface VerifierHealth {
  /** Whether this verifier can verify: it is not where every token would be refused as unavailable. */
  isReady: boolean;
  database: StoreHealth;
  /** Over all of its masters, by what was read of them. A write that is refused does not count. */
  registry: StoreHealth;
  /** Each server that serves a part of the registry; it is read at least every second. */
  masters: MasterStatus[];
  /**
   * How the registry took what the verifier last told of itself. Never `down`, and says nothing of readiness: it is a write.
   * From 10 s and the clock tolerance after `answeredAt` commands do not wait for this verifier.
   */
  announcements: LastHealth;
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
