/** Determines how long a key must verify. */
export interface LifetimePolicy {
  /** The longest lifetime of a token. */
  maxTtlSeconds: number;
  clockToleranceSeconds: number;
}

/**
 * How long an issuer may sign with a key after reading it as the active one, in seconds. `verifyUntil`
 * includes this time.
 */
export const ISSUER_KEY_HOLD_SECONDS = 60;
