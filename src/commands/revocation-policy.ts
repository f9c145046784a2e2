import type { Settings } from '../config/settings.js';
import type { RevocationPolicy } from '../domain/revocation.js';

/** What a revocation has to know of the settings: for how long the tokens that it covers can live. */
export function revocationPolicy({ token }: Settings): RevocationPolicy {
  return { maxTtlSeconds: token.maxTtl, clockToleranceSeconds: token.clockTolerance };
}
