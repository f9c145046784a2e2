import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { redisCli } from '../../../adapters/redis/registry-under-test.js';
import { cli } from '../../../support/cli.js';
import { startRedisCluster } from '../../../support/servers.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';
import { runAt } from '../../../support/terminal.js';

type Row = Record<string, unknown>;

describe.each(BACKENDS)('cache nodes, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
  });
  afterAll(() => stores?.close());

  test('lists each node and its data', async () => {
    const nodes: Row[] = await stores.json('cache', 'nodes');
    if (!stores.isCluster) {
      expect(nodes).toMatchObject([{ role: 'embedded', master: null, slots: null, reachable: true }]);
      return;
    }
    const masters = nodes.filter(({ role }) => role === 'master');
    expect(masters.reduce((sum, { slots }) => sum + Number(slots), 0)).toBe(16_384);
    expect(masters).toHaveLength(3);
    for (const { node, role, master, lagBytes, usedMemoryBytes, maxmemoryBytes, maxmemoryPolicy } of nodes) {
      expect(usedMemoryBytes).toBeGreaterThan(100_000);
      expect({ maxmemoryBytes, maxmemoryPolicy }).toEqual({
        maxmemoryBytes: null,
        maxmemoryPolicy: 'noeviction',
      });
      if (role === 'master') continue;
      expect(masters.map((row) => row.node)).toContain(master);
      expect(lagBytes, String(node)).toBeGreaterThanOrEqual(0);
    }
  });

  test('shows a table that fits the terminal, with replicas below their masters', async () => {
    const { stdout, stderr } = await runAt({ columns: 80 }, stores, 'cache', 'nodes', '-q', '-o', 'table');
    expect(stderr).toBe('');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(stdout.match(/^└ \S+ +replica/gm) ?? []).toHaveLength(stores.isCluster ? 3 : 0);
    expect(stdout.match(/ master .* noeviction$/gm) ?? []).toHaveLength(stores.isCluster ? 3 : 0);
  });
});

test('marks a full or nearly full master, with a warning', async () => {
  const cluster = await startRedisCluster({
    ...{ masters: 3, replicasPerMaster: 1, nodeTimeoutMs: 60_000 },
    config: ['maxmemory 100mb'],
  });
  const stores = await openStores('MariaDB and a Redis Cluster');
  const [full = '', nearly = ''] = cluster.nodes.map(({ node }) => node);
  const shell = cli({ ...stores, env: { ...stores.env, JWTCTL_REDIS_NODES: full } });
  try {
    expect((await shell.run('cache', 'nodes')).stderr).toBe('');
    await redisCli(full, 'CONFIG', 'SET', 'maxmemory', 1);
    await fill(nearly);
    const used = Number(/used_memory:(\d+)/.exec(await redisCli(nearly, 'INFO', 'memory'))?.[1]);
    await redisCli(nearly, 'CONFIG', 'SET', 'maxmemory', Math.round(used / 0.97));
    const { exitCode, stderr } = await shell.run('cache', 'nodes');
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(new RegExp(`${full} has reached its maxmemory`));
    expect(stderr).toMatch(new RegExp(`${nearly} uses 9\\d.* of its maxmemory`));
    const nodes: Row[] = await shell.json('cache', 'nodes');
    expect(nodes.find(({ node }) => node === full)?.warnings).toEqual(['memory_full']);
    expect(nodes.find(({ node }) => node === nearly)?.warnings).toEqual([]);
  } finally {
    await cluster.stop();
    await stores.close();
  }
}, 60_000);

/** Writes 20 MB into the first key that this master serves. */
async function fill(node: string): Promise<void> {
  for (let number = 0; number < 100; number++) {
    const isServed = await redisCli(node, 'SETRANGE', `ballast-${number}`, 20_000_000, 'x').catch(() => null);
    if (isServed !== null) return;
  }
  throw new Error(`${node} serves none of a hundred keys.`);
}

test('marks settings that may lose tokens, and warns', async () => {
  const cluster = await startRedisCluster({
    ...{ masters: 3, replicasPerMaster: 0, nodeTimeoutMs: 60_000 },
    config: ['maxmemory 100mb', 'maxmemory-policy allkeys-lru'],
  });
  const stores = await openStores('MariaDB and a Redis Cluster');
  const names = cluster.nodes.map(({ node }) => node);
  const env = { ...stores.env, JWTCTL_REDIS_NODES: names.join(','), JWTCTL_TIMEOUT: '1s' };
  const shell = cli({ ...stores, env });
  try {
    const nodes: Row[] = await shell.json('cache', 'nodes');
    expect(nodes.map(({ maxmemoryBytes }) => maxmemoryBytes)).toEqual(names.map(() => 100 * 1024 ** 2));
    const all = await shell.run('cache', 'nodes');
    expect(all.exitCode).toBe(0);
    expect(all.stdout.match(/master, no replica .* [\d.]+% +- +allkeys-lru$/gm)).toHaveLength(3);
    expect(all.stderr.match(/has no reachable replica/g)).toHaveLength(3);
    expect(all.stderr.match(/Set maxmemory-policy to noeviction/g)).toHaveLength(1);

    await cluster.nodes[1]?.stop();
    const { exitCode, stdout, stderr } = await shell.run('cache', 'nodes');
    expect(exitCode).toBe(5);
    expect(stdout).toMatch(new RegExp(`^${names[1]} +master, unreachable `, 'm'));
    expect(stderr).toContain(`Not reached: the master ${names[1]}.`);
  } finally {
    await cluster.stop();
    await stores.close();
  }
});
