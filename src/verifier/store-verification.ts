import type { Context } from '../app/context.js';
import { findStatus } from '../domain/tokens/find-status.js';
import type { VerificationPorts } from '../domain/tokens/verify.js';
import { KeyCache } from './key-cache.js';

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
  };
  return {
    findKey: (kid) => keyCache.find(kid),
    findStatus: async (token) => {
      const key = await keyCache.find(token.kid);
      // The key was purged after the signature check.
      if (key === null) return { entry: null, user: 'unknown', revoked: false };
      return findStatus(ports, { ...token, keyId: key.id });
    },
    policy: {
      issuer: settings.token.issuer,
      audience: settings.token.audience,
      clockToleranceSeconds: settings.token.clockTolerance,
    },
    now: clock.now,
  };
}
