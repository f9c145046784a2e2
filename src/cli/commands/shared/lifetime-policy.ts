import type { Settings } from '../../../config/settings.js';
import type { LifetimePolicy } from '../../../domain/model/lifetime.js';

export function lifetimePolicy({ token }: Settings): LifetimePolicy {
  return { maxTtlSeconds: token.maxTtl, clockToleranceSeconds: token.clockTolerance };
}

export function userPolicy(settings: Settings) {
  return { ...lifetimePolicy(settings), statusTtlSeconds: settings.users.statusTtl };
}
