/** What has to be known of tokens, to know how long a key has to verify. */
export interface LifetimePolicy {
  /** The longest lifetime that issuers may give to a token. */
  maxTtlSeconds: number;
  clockToleranceSeconds: number;
}

/**
 * How long an issuer may go on signing with a key after it read it as the active one, in seconds. Every issuer of ours
 * keeps to it, and `verifyUntil` allows for it.
 */
export const ISSUER_KEY_HOLD_SECONDS = 60;
