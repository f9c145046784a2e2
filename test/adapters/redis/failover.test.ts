import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { freePort } from '../../support/free-port.js';
import { registerOne } from '../../support/registering.js';
import { startRedis, startRedisCluster } from '../../support/servers.js';
import {
  crowd,
  entryAt,
  openRegistry,
  parseNode,
  realNow,
  redisCli,
  scanAll,
} from './registry-under-test.js';

describe('a master that dies', () => {
  test('is replaced by its replica, which serves reads, scripts, and scans at once', async () => {
    const cluster = await startRedisCluster({ nodeTimeoutMs: 1000 });
    const { registry, close } = openRegistry(
      cluster.nodes.map(({ node }) => node),
      { timeoutMs: 10_000 },
    );
    try {
      const now = realNow();
      const subs = crowd(30);
      await Promise.all(subs.map((sub) => registerOne(registry, sub, entryAt(now, 'a'), { now })));
      await registry.setUserStatus('user-0', { status: 'disabled', version: 1, until: now + 600 }, now);
      const before = await scanAll(registry);
      // Wait for replication, because acknowledged writes may be lost with their master.
      await Promise.all(before.nodes.map(({ node }) => redisCli(node, 'WAIT', 1, 1000)));
      const dying = before.subjects.find(({ sub }) => sub === 'user-0')?.node;
      await cluster.nodes.find(({ node }) => node === dying)?.stop();

      const [statusReader, , scan] = await Promise.all([
        Promise.all(subs.map((sub) => registry.tokenStatus(sub, entryAt(now, 'a'), now))),
        registerOne(registry, 'user-0', entryAt(now, 'b'), { now }),
        scanAll(registry),
      ]);
      expect(statusReader.every(({ exp }) => exp === now + 3600)).toBe(true);
      expect(statusReader[0]?.user?.status).toBe('disabled');

      expect(scan.missed).toEqual([]);
      expect(scan.subjects.map(({ sub }) => sub).sort()).toEqual([...subs].sort());

      const listed = await registry.nodes();
      expect(listed.find(({ node }) => node === dying)).toMatchObject({ reachable: false, keys: null });
      expect(listed.filter(({ role, reachable }) => role === 'master' && reachable)).toHaveLength(3);
    } finally {
      await close();
      await cluster.stop();
    }
  });

  test('takes the cluster down if it has no replica, and the scan lists its slots as missed', async () => {
    const cluster = await startRedisCluster({ replicasPerMaster: 0, nodeTimeoutMs: 500 });
    const { registry, close } = openRegistry(
      cluster.nodes.map(({ node }) => node),
      { timeoutMs: 1500 },
    );
    try {
      const now = realNow();
      await Promise.all(crowd(30).map((sub) => registerOne(registry, sub, entryAt(now, 'a'), { now })));
      const dead = (await scanAll(registry)).subjects.find(({ sub }) => sub === 'user-0')?.node ?? '';
      await cluster.nodes.find(({ node }) => node === dead)?.stop();

      const started = performance.now();
      const down = { kind: 'unavailable', code: 'ERR_REDIS_CLUSTER_DOWN' };
      await expect(registry.tokenStatus('user-0', entryAt(now, 'a'), now)).rejects.toMatchObject(down);
      expect(performance.now() - started).toBeLessThan(2000);

      const living = cluster.nodes.filter(({ node }) => node !== dead);
      await Promise.all(
        living.map(({ node }) => redisCli(node, 'CONFIG', 'SET', 'cluster-require-full-coverage', 'no')),
      );
      const scan = await scanAll(registry);
      expect(scan.complete).toBe(false);
      expect(scan.missed).toEqual([
        expect.stringMatching(`^slots \\d+-\\d+ \\(${dead}: connection (refused|closed)\\)$`),
      ]);
      expect(scan.subjects.length).toBeGreaterThan(0);
      expect(scan.subjects.length).toBeLessThan(30);
      const removal = await registry.removeEverywhere({}, { now });
      expect(removal).toMatchObject({ complete: false, removed: scan.subjects.length });
      expect((await registry.nodes()).filter(({ reachable }) => !reachable)).toMatchObject([{ node: dead }]);
    } finally {
      await close();
      await cluster.stop();
    }
  });

  test('makes the store unreachable at once if all others die too', async () => {
    const cluster = await startRedisCluster({ replicasPerMaster: 0 });
    const { registry, close } = openRegistry(
      cluster.nodes.map(({ node }) => node),
      { timeoutMs: 5000 },
    );
    const now = realNow();
    await Promise.all(crowd(30).map((sub) => registerOne(registry, sub, entryAt(now, 'a'), { now })));
    await cluster.stop();
    const started = performance.now();
    for (let round = 0; round < 3; round++) {
      await expect(registry.tokenStatus('user-0', entryAt(now, 'a'), now)).rejects.toMatchObject({
        ...{ kind: 'unavailable', code: 'ERR_REDIS_UNREACHABLE' },
        // "closed" if the connection ends during the request.
        details: { reason: expect.stringMatching(/^connection (refused|closed)$/) },
      });
    }
    expect(performance.now() - started).toBeLessThan(2500);
    await close();
  });

  test('costs at most the timeout if it hangs instead', async () => {
    const cluster = await startRedisCluster({ replicasPerMaster: 0, nodeTimeoutMs: 60_000 });
    const { registry, close } = openRegistry(
      cluster.nodes.map(({ node }) => node),
      { timeoutMs: 800 },
    );
    const now = realNow();
    await Promise.all(crowd(30).map((sub) => registerOne(registry, sub, entryAt(now, 'a'), { now })));
    const hanging = (await scanAll(registry)).subjects.find(({ sub }) => sub === 'user-0')?.node;
    const pid = cluster.nodes.find(({ node }) => node === hanging)?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    try {
      const started = performance.now();
      const statusReader = await Promise.allSettled(
        crowd(30).map((sub) => registry.tokenStatus(sub, entryAt(now, 'a'), now)),
      );
      expect(performance.now() - started).toBeLessThan(1300);
      const failed = statusReader.filter((outcome) => outcome.status === 'rejected');
      expect(failed.length).toBeGreaterThan(0);
      expect(failed.length).toBeLessThan(30);
      for (const { reason } of failed) expect(reason).toMatchObject({ kind: 'unavailable' });
      expect((await registry.nodes()).filter(({ reachable }) => !reachable)).toMatchObject([
        { node: hanging },
      ]);

      process.kill(pid, 'SIGCONT');
      // One second after the breaker opens, the master is tried again in the background.
      const exp = () => registry.tokenStatus('user-0', entryAt(now, 'a'), now).then((found) => found.exp);
      await expect.poll(() => exp().catch(() => null), { timeout: 10_000 }).toBe(now + 3600);
    } finally {
      process.kill(pid, 'SIGCONT');
      await close();
      await cluster.stop();
    }
  });
});

test('reaches a cluster through a NAT map over TLS with an ACL user', async () => {
  const certificates = await startRedis({ tls: 'on' });
  const cluster = await startRedisCluster({ replicasPerMaster: 0 });
  const { ca, cert, key } = certificates.tls ?? { ca: '', cert: '', key: '' };
  const natMap: Record<string, { host: string; port: number }> = {};
  const seeds: string[] = [];
  for (const { node } of cluster.nodes) {
    const port = await freePort();
    const files = [
      'tls-ca-cert-file',
      ca,
      'tls-cert-file',
      cert,
      'tls-key-file',
      key,
      'tls-auth-clients',
      'no',
    ];
    await redisCli(node, 'CONFIG', 'SET', 'tls-port', port, ...files);
    await redisCli(node, 'ACL', 'SETUSER', 'jwtctl', 'on', '>secret', '~*', '+@all');
    await redisCli(node, 'ACL', 'SETUSER', 'default', 'off');
    // Redis 7.0 advertises the plain port even to TLS clients; newer versions and Valkey the TLS port.
    const reachable = { host: 'localhost', port };
    natMap[node] = reachable;
    natMap[`127.0.0.1:${port}`] = reachable;
    seeds.push(`localhost:${port}`);
  }
  const { registry, close } = openRegistry(seeds.slice(0, 1), {
    ...{ username: 'jwtctl', password: 'secret', natMap },
    tls: { ca: readFileSync(ca, 'utf8') },
  });
  try {
    const now = realNow();
    await Promise.all(crowd(30).map((sub) => registerOne(registry, sub, entryAt(now, 'a'), { now })));
    const { subjects, complete } = await scanAll(registry);
    expect({ complete, count: subjects.length }).toEqual({ complete: true, count: 30 });
    expect([...new Set(subjects.map(({ node }) => node))].sort()).toEqual([...seeds].sort());
    const nodes = await registry.nodes();
    expect(nodes.map(({ node }) => node).sort()).toEqual([...seeds].sort());
    expect(nodes.every(({ reachable }) => reachable)).toBe(true);
    expect(parseNode(nodes[0]?.node ?? '').host).toBe('localhost');
  } finally {
    await close();
    await cluster.stop();
    await certificates.stop();
  }
});
