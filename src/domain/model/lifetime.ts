export interface LifetimePolicy {
  maxTtlSeconds: number;
  clockToleranceSeconds: number;
}

export interface EventPolicy extends LifetimePolicy {
  /** Lifetime of a refresh token. */
  refreshTtlSeconds: number;
}

/** How long an issuer may use a key after reading it as active, in seconds. Part of `verifyUntil`. */
export const ISSUER_KEY_HOLD_SECONDS = 60;
