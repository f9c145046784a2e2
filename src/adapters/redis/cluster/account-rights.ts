import type { Redis } from 'ioredis';
import type { AccountRights } from '../../../domain/ports/account-rights.js';
import { comparePermissions } from '../wire/missing-permissions.js';
import { aclStatement, neededPermissions } from '../wire/needed-permissions.js';
import { withDeadline } from '../wire/pipeline.js';
import { fromNode, replyCode } from '../wire/redis-errors.js';
import type { RedisConnection } from './redis-connection.js';

/** Commands that end the service or open it to others, and reading the keys of other applications. */
const NOT_NEEDED = [
  ...['flushall', 'flushdb', 'keys', 'shutdown', 'debug', 'replicaof', 'config|set', 'acl|setuser'],
  ...['cluster|reset', 'cluster|failover', 'script|flush', 'function|load', 'module|load'],
];
/** Redis 7.0.15 crashes if it checks a command with a count of keys, such as EVAL or MIGRATE, without its arguments. */
const WITH_KEY_COUNT = new Set(['eval', 'evalsha']);
/** No script has this digest. */
const UNKNOWN_SCRIPT = '0'.repeat(40);
const KEY_OF_OTHERS = 'exists another-application';

/** Asks each master, because each server has its own accounts. */
export async function readRedisRights(
  connection: RedisConnection,
  { username, prefix }: { username: string | undefined; prefix: string },
): Promise<AccountRights> {
  await connection.ready();
  const needed = neededPermissions(connection.mode).filter((permission) => !WITH_KEY_COUNT.has(permission));
  const missing = new Set<string>();
  const excess = new Set<string>();
  for (const { client, name, isMaster } of connection.nodes()) {
    if (!isMaster) continue;
    try {
      const asked = [...needed, ...NOT_NEEDED, KEY_OF_OTHERS];
      const { granted, denied } = await comparePermissions(client, asked, connection.timeoutMs);
      if (await isScriptDenied(client, connection.timeoutMs)) missing.add('evalsha');
      for (const permission of needed) if (denied.includes(permission)) missing.add(permission);
      for (const permission of NOT_NEEDED) if (granted.includes(permission)) excess.add(`+${permission}`);
      if (granted.includes(KEY_OF_OTHERS)) excess.add('~*');
    } catch (error) {
      throw connection.translate(fromNode(error, name));
    }
  }
  const account = { prefix, mode: connection.mode, username: username ?? 'jwtctl' };
  // The account `default` is for clients that do not log in.
  const statement =
    username === undefined ? aclStatement(account, 'on', '><password>') : aclStatement(account);
  return {
    account: `The Redis account '${username ?? 'default'}'`,
    missing: [...missing].map((permission) => ({
      right: `+${permission}`,
      statement: `ACL SETUSER ${account.username} +${permission}`,
    })),
    excess: excess.size === 0 ? [] : [{ right: [...excess].join(' '), statement }],
  };
}

/** The comparison itself has shown that EVAL is allowed. */
async function isScriptDenied(client: Redis, timeoutMs: number): Promise<boolean> {
  return withDeadline(client.call('evalsha', UNKNOWN_SCRIPT, 0), timeoutMs).then(
    () => false,
    (error) => {
      if (replyCode(error) === null) throw error;
      return replyCode(error) === 'NOPERM';
    },
  );
}
