import type { Context } from '../app/context.js';
import { RevocationIndex } from '../domain/security-log/revocation-index.js';
import type { LegacyPorts } from '../domain/verification/check-legacy.js';
import { findStatus } from '../domain/verification/find-status.js';
import type { VerificationPorts } from '../domain/verification/verify.js';
import { KeyCache } from './key-cache.js';

/** Does not count as a use of the token: see `token.idleTimeout`. */
export async function storeVerification(context: Context): Promise<VerificationPorts> {
  const { settings, clock } = context;
  const [database, registry, users] = await Promise.all([
    context.database(),
    context.registry(),
    context.users(),
  ]);
  const keyCache = new KeyCache(database.keys, clock);
  const ports = {
    registry,
    users,
    clock,
    securityLog: database.securityLog,
    statusTtlSeconds: settings.users.statusTtl,
    clockToleranceSeconds: settings.token.clockTolerance,
    logsUserChanges: settings.users.source === 'managed',
    idleTimeoutSeconds: settings.token.idleTimeout,
  };
  const legacy: LegacyPorts = {
    acceptUntil: settings.token.acceptLegacy,
    findEntry: (sub, id) => registry.findLegacyEntry(sub, id),
    findKey: (keyId) => keyCache.findById(keyId),
    isRevoked: async (sub, id) => {
      const events = await database.securityLog.findNaming([{ sub, jti: id }]);
      return new RevocationIndex(events).names(sub, id);
    },
  };
  return {
    findKey: (kid) => keyCache.find(kid),
    findStatus: async (token) => {
      const key = await keyCache.find(token.kid);
      // The key was purged after the signature check.
      if (key === null) return { entry: null, user: 'unknown', revoked: false };
      return findStatus(ports, { ...token, keyId: key.id });
    },
    legacy,
    policy: {
      issuer: settings.token.issuer,
      audience: settings.token.audience,
      acceptTypes: settings.token.acceptTypes,
      clockToleranceSeconds: settings.token.clockTolerance,
    },
    now: clock.now,
  };
}
