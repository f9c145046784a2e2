import type {
  Clock,
  KnownUserStatus,
  SecurityLog,
  TokenStatusReader,
  UserDirectory,
  UserStatusCache,
} from '../ports/index.js';
import { lastUse } from '../registry/idle.js';
import { cacheStatus, isCached, type StatusPolicy } from '../security-log/cached-user-status.js';
import { RevocationIndex } from '../security-log/revocation-index.js';
import { ifReachable } from '../shared/unavailable.js';
import { evaluateStatus, type IdlePolicy, type TokenStatus } from './check-status.js';

export interface StatusPorts extends StatusPolicy, IdlePolicy {
  registry: Pick<TokenStatusReader, 'tokenStatus'> & UserStatusCache;
  securityLog: Pick<SecurityLog, 'findConcerning'>;
  users: Pick<UserDirectory, 'find'>;
  clock: Clock;
}

export async function findStatus(
  ports: StatusPorts,
  token: { sub: string; jti: string; kid: string; keyId: number; iat: number; issuedAt: number },
): Promise<TokenStatus> {
  const now = ports.clock.now();
  const [registered, concerning] = await Promise.all([
    ports.registry.tokenStatus(token.sub, token, now),
    ports.securityLog.findConcerning(token),
  ]);
  const evaluated = evaluateStatus(
    {
      ...{ token, exp: registered.exp, cached: registered.user, lastAnswer: null },
      lastSeen: lastUse(registered, ports, now),
      ...{ events: new RevocationIndex(concerning), policy: ports },
    },
    now,
  );
  return {
    ...evaluated,
    user: evaluated.user?.status ?? (await askDirectory(ports, token.sub, registered.user, now)),
  };
}

/** Asks the directory. Caches the answer if the registry accepts writes. */
async function askDirectory(
  ports: StatusPorts,
  sub: string,
  cached: KnownUserStatus | null,
  now: number,
): Promise<TokenStatus['user']> {
  const { registry, users, statusTtlSeconds } = ports;
  const user = await users.find(sub);
  if (user === null) return 'unknown';
  if (!isCached(user, cached, now, ports)) {
    const find = (name: string) => users.find(name);
    await ifReachable(() => cacheStatus({ registry, find }, user, now, statusTtlSeconds), undefined);
  }
  return user.status;
}
