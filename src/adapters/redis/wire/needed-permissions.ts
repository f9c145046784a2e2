/** Commands in scripts. */
export const SCRIPTED = [
  'exists expire expireat expiretime ttl type time unlink',
  'zadd zrem zcount zscore zmscore zrange zrangebyscore zrevrangebyscore zscan',
  'hset hsetnx hget hmget hdel hlen hrandfield hscan',
].flatMap((line) => line.split(' '));

const EVERYWHERE = ['client|tracking', 'info', 'dbsize', 'eval', 'evalsha', 'wait', ...SCRIPTED];
const IN_A_CLUSTER = ['cluster|slots', 'cluster|shards', 'cluster|nodes', 'cluster|getkeysinslot'];

/** Returns the least permissions of the account, as in an ACL rule. */
export function neededPermissions(mode: 'cluster' | 'standalone' | 'sentinel'): string[] {
  // A cluster is walked by hash slot.
  return [...(mode === 'cluster' ? IN_A_CLUSTER : ['scan']), ...EVERYWHERE];
}

/** Stands for the password. */
export const PASSWORD = '<password>';

/** Returns the statement for an administrator. `rules` such as `on` come first. */
export function aclStatement(
  {
    username,
    prefix,
    mode,
  }: { username: string; prefix: string; mode: Parameters<typeof neededPermissions>[0] },
  ...rules: string[]
): string {
  const permissions = neededPermissions(mode).map((permission) => `+${permission}`);
  return [
    ...['ACL', 'SETUSER', username, ...rules],
    ...['resetkeys', `~${prefix}:*`, 'resetchannels', '-@all', ...permissions],
  ].join(' ');
}
