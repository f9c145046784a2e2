import type { Context } from '../app/context.js';
import { RevocationIndex } from '../domain/security-log/revocation-index.js';
import type { LegacyPorts } from '../domain/verification/check-legacy.js';
import { findStatus } from '../domain/verification/find-status.js';
import type { VerificationPorts } from '../domain/verification/verify.js';
import type { AskedStores } from './asked-once.js';
import { KeyCache } from './key-cache.js';

/**
 * Does not count as a use of the token: see `token.idleTimeout`.
 * @param stores Default: those of the context
 */
export async function storeVerification(context: Context, stores?: AskedStores): Promise<VerificationPorts> {
  const { settings, clock } = context;
  const { keys, securityLog, users, registry } = stores ?? (await openStores(context));
  const keyCache = new KeyCache(keys, clock);
  const ports = {
    registry,
    users,
    clock,
    securityLog,
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
      const events = await securityLog.findNaming([{ sub, jti: id }]);
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

async function openStores(context: Context): Promise<AskedStores> {
  const [{ keys, securityLog }, registry, users] = await Promise.all([
    context.database(),
    context.registry(),
    context.users(),
  ]);
  return { keys, securityLog, users, registry };
}
