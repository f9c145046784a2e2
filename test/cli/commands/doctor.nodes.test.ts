import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { redisCli } from '../../adapters/redis/registry-under-test.js';
import { type Cli, cli } from '../../support/cli.js';
import { startRedisCluster } from '../../support/servers.js';
import { openStores } from '../../support/stores.js';

async function check(shell: Cli, name: string) {
  const { json } = await shell.run('doctor', '--only', name, '--json');
  const [{ result, findings }] = json().checks;
  return { result, text: findings.map(({ message }: { message: string }) => message).join('\n') };
}

const OK = { result: 'ok', text: '' };

test('doctor finds each fault of a Redis Cluster', async () => {
  const cluster = await startRedisCluster({
    ...{ masters: 3, replicasPerMaster: 1, nodeTimeoutMs: 60_000 },
    config: ['cluster-require-full-coverage no'],
  });
  const stores = await openStores('MariaDB and a Redis Cluster');
  const [first = '', second = ''] = cluster.nodes.map(({ node }) => node);
  const env = { ...stores.env, JWTCTL_REDIS_NODES: `${first},${second}`, JWTCTL_TIMEOUT: '1s' };
  const shell = cli({ ...stores, env });
  try {
    for (const name of ['slots', 'replicas', 'eviction', 'memory'])
      expect(await check(shell, name), name).toEqual(OK);

    await redisCli(first, 'CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    expect(await check(shell, 'eviction')).toEqual({
      ...{ result: 'error', text: expect.stringContaining(`${first} may drop live tokens`) },
    });
    await redisCli(first, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    expect(await check(shell, 'eviction')).toEqual(OK);

    await redisCli(first, 'CONFIG', 'SET', 'maxmemory', 1);
    expect(await check(shell, 'memory')).toEqual({
      ...{ result: 'error', text: expect.stringContaining(`${first} has reached its maxmemory`) },
    });
    await redisCli(first, 'CONFIG', 'SET', 'maxmemory', 0);

    const reader = await fillTrackingTable(second);
    expect(await check(shell, 'memory')).toEqual({
      ...{ result: 'warning', text: expect.stringContaining(`${second} tracks as many keys`) },
    });
    reader.disconnect();

    const replica = cluster.nodes[3] ?? expect.unreachable();
    await letLag(replica.node);
    const lagging = await check(shell, 'replicas');
    expect(lagging.result).toBe('warning');
    expect(lagging.text).toMatch(
      new RegExp(`The replica ${replica.node} is \\d{7,} bytes behind its master`),
    );

    await replica.stop();
    const { result, text } = await check(shell, 'replicas');
    expect(result).toBe('warning');
    expect(text).toContain('has no replica that responds');
    expect(text).toContain(`The replica ${replica.node} does not respond.`);

    for (const { node } of cluster.nodes.slice(0, 3)) await redisCli(node, 'CLUSTER', 'DELSLOTS', 0);
    expect(await check(shell, 'slots')).toEqual({
      ...{ result: 'error', text: 'No master serves 1 of the 16384 hash slots.' },
    });
    await cluster.nodes[1]?.stop();
    expect((await check(shell, 'slots')).text).toContain(`The master ${second} does not respond.`);
  } finally {
    await cluster.stop();
    await stores.close();
  }
}, 60_000);

/** The replica loses its master, which then writes 2 MB, and still responds. */
async function letLag(replica: string): Promise<void> {
  await redisCli(replica, 'CONFIG', 'SET', 'masteruser', 'unknown', 'masterauth', 'wrong');
  const [, host, port] =
    /master_host:(\S+)\s+master_port:(\d+)/.exec(await redisCli(replica, 'INFO', 'replication')) ?? [];
  const master = `${host}:${port}`;
  await redisCli(master, 'CLIENT', 'KILL', 'TYPE', 'replica');
  const script = "redis.call('SET', KEYS[1], string.rep('x', 2000000))";
  for (let number = 0; ; number++) {
    // The other masters serve two of three keys.
    const isMoved = await redisCli(master, 'EVAL', script, 1, `key-${number}`).then(
      () => false,
      () => true,
    );
    if (!isMoved) return;
  }
}

/** Redis keeps the names of the keys that a tracking connection has read. */
async function fillTrackingTable(node: string): Promise<Redis> {
  await redisCli(node, 'CONFIG', 'SET', 'tracking-table-max-keys', 2);
  const [host = '', port] = node.split(':');
  const client = new Redis({ host, port: Number(port) });
  await client.client('TRACKING', 'ON', 'REDIRECT', await client.client('ID'));
  // The other masters serve two of three keys.
  for (let number = 0; number < 50; number++) await client.get(`key-${number}`).catch(() => null);
  return client;
}
