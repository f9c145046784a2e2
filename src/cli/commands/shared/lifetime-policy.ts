import type { Settings } from '../../../config/settings.js';
import type { LifetimePolicy } from '../../../domain/model/lifetime.js';

/** What the settings say of how long a token can live. */
export function lifetimePolicy({ token }: Settings): LifetimePolicy {
  return { maxTtlSeconds: token.maxTtl, clockToleranceSeconds: token.clockTolerance };
}

/** The same, and how long the cached status of a user may be trusted. */
export function userPolicy(settings: Settings) {
  return { ...lifetimePolicy(settings), statusTtlSeconds: settings.users.statusTtl };
}
