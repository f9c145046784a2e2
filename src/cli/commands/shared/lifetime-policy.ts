import type { Settings } from '../../../config/settings.js';
import type { EventPolicy } from '../../../domain/model/lifetime.js';

export function lifetimePolicy({ token, refresh }: Settings): EventPolicy {
  return {
    maxTtlSeconds: token.maxTtl,
    refreshTtlSeconds: refresh.ttl,
    clockToleranceSeconds: token.clockTolerance,
  };
}

export function userPolicy(settings: Settings) {
  return { ...lifetimePolicy(settings), statusTtlSeconds: settings.users.statusTtl };
}
