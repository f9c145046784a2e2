export interface LifetimePolicy {
  maxTtlSeconds: number;
  clockToleranceSeconds: number;
}

/** How long an issuer may use a key after reading it as active, in seconds. Part of `verifyUntil`. */
export const ISSUER_KEY_HOLD_SECONDS = 60;
