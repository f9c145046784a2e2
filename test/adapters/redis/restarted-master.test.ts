import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { StatusReader, TokenRegistry } from '../../../src/domain/ports/index.js';
import { registerOne } from '../../support/registering.js';
import { openServerGroup, startRedis, startRedisCluster } from '../../support/servers.js';
import { crowd, entryAt, openRegistry, realNow, redisCli } from './registry-under-test.js';

let closers: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
});

/** How far the host's clock is ahead, in seconds. */
let clockSet = 0;

function open(nodes: string[], nearCache: boolean): { registry: TokenRegistry; statusReader: StatusReader } {
  clockSet = 0;
  const { registry, close } = openRegistry(nodes, {
    timeoutMs: 2000,
    mode: nodes.length === 1 ? 'standalone' : 'cluster',
  });
  const statusReader = registry.openStatusReader({ nearCache, now: () => realNow() + clockSet });
  closers.push(close, () => statusReader.close());
  return { registry, statusReader };
}

test.each([{ nearCache: false }, { nearCache: true }])(
  'missing tokens on a master that came back empty are unavailable until it has settled: %o',
  async ({ nearCache }) => {
    const group = openServerGroup();
    closers.push(group.stop);
    // No replica takes over: the test covers the time before that.
    const cluster = await startRedisCluster(
      { masters: 3, replicasPerMaster: 0, nodeTimeoutMs: 15_000 },
      group,
    );
    const { registry, statusReader } = open(
      cluster.nodes.map(({ node }) => node),
      nearCache,
    );
    const now = realNow();
    const subs = crowd(30);
    for (const sub of subs) await registerOne(registry, sub, entryAt(now, 'a'), { now });
    const outcome = (sub: string) =>
      statusReader
        .of(sub, entryAt(now, 'a'))
        .read()
        .then(({ exp }) => (exp === null ? 'not registered' : 'registered'))
        .catch(({ kind, code }) => `${kind} ${code}`);
    for (const sub of subs) expect(await outcome(sub)).toBe('registered');

    await cluster.nodes[1]?.stop();
    const name = 'redis-2';
    const args = [join(group.folder, name, 'redis.conf')];
    await group.launch({ name, program: 'redis-server', args });
    // No token is ever reported as not registered.
    const seen = new Set<string>();
    const askAll = async () => {
      for (const found of await Promise.all(subs.map(outcome))) seen.add(found);
      return [...seen];
    };
    await expect.poll(askAll, { timeout: 30_000, interval: 50 }).toContain('unavailable ERR_REDIS_RESTARTED');
    for (let round = 0; round < 20; round++) await askAll();
    expect([...seen]).not.toContain('not registered');
    expect(statusReader.masters().map(({ code }) => code)).toEqual([null, null, null]);

    // A token that is still there is registered.
    const lost = [];
    for (const sub of subs) if ((await outcome(sub)) !== 'registered') lost.push(sub);
    expect(lost.length).toBeGreaterThan(2);
    const again = lost.pop() as string;
    await registerOne(registry, again, entryAt(now, 'a'), { now });
    expect(await outcome(again)).toBe('registered');

    // The cluster has settled: this server stays the master, so the missing tokens are lost.
    clockSet = 31;
    for (const sub of lost) expect(await outcome(sub)).toBe('not registered');
  },
  60_000,
);

test('a server that restarts with its data answers as before', async () => {
  const server = await startRedis({ config: ['appendonly yes', 'enable-debug-command yes'] });
  closers.push(server.stop);
  const { registry, statusReader } = open([server.node], false);
  const now = realNow();
  await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
  const query = statusReader.of('alice', entryAt(now, 'a'));
  expect((await query.read()).exp).toBe(now + 3600);
  await redisCli(server.node, 'DEBUG', 'RESTART').catch(() => {});
  const read = () => query.read().then(({ exp }) => exp);
  await expect.poll(() => read().catch(() => null), { timeout: 10_000 }).toBe(now + 3600);
});
