import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RedisTokenRegistry } from '../../../src/adapters/redis/token-registry.js';
import { registerOne } from '../../support/registering.js';
import { startRedisCluster } from '../../support/servers.js';
import { crowd, entryAt, openRegistry, realNow, redisCli } from './registry-under-test.js';

// These tests need their own cluster, because its servers count every command.
let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
let nodes: string[];
let registry: RedisTokenRegistry;

let close: () => Promise<void>;
let now: number;

beforeAll(async () => {
  cluster = await startRedisCluster({ replicasPerMaster: 0 });
  nodes = cluster.nodes.map(({ node }) => node);
});
afterAll(() => cluster.stop());
beforeEach(() => {
  ({ registry, close } = openRegistry(nodes));
  now = realNow();
});
afterEach(() => close());

async function count(pattern: RegExp, section: string): Promise<number> {
  const infos = await Promise.all(nodes.map((node) => redisCli(node, 'INFO', section)));
  return infos.reduce((sum, info) => sum + Number(pattern.exec(info)?.[1] ?? 0), 0);
}
const commands = () => count(/^total_commands_processed:(\d+)/m, 'stats');
const reads = () => count(/^total_reads_processed:(\d+)/m, 'stats');
const calls = (name: string) => count(new RegExp(`^cmdstat_${name}:calls=(\\d+)`, 'm'), 'commandstats');

test('a verification sends one ZMSCORE', async () => {
  const user = { status: 'enabled', version: 1, until: now + 60 } as const;
  await registerOne(registry, 'alice', entryAt(now, 'a'), { now, user });
  const before = await calls('zmscore');
  const others = ['zscore', 'zrange', 'zrangebyscore', 'evalsha', 'eval', 'get', 'exists', 'type', 'hgetall'];
  const sum = async () => (await Promise.all(others.map(calls))).reduce((a, b) => a + b, 0);
  const othersBefore = await sum();
  await registry.tokenStatus('alice', entryAt(now, 'a'), now);
  expect(await calls('zmscore')).toBe(before + 1);
  expect(await sum()).toBe(othersBefore);
});

test('a thousand concurrent registrations share a few round trips', async () => {
  await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
  const before = { reads: await reads(), scripts: await calls('evalsha') };
  const subs = crowd(1000);
  await registry.registerMany(subs.map((sub) => ({ sub, entry: entryAt(now, 'a'), now })));
  const after = { reads: await reads(), scripts: await calls('evalsha') };
  expect(after.scripts - before.scripts).toBeGreaterThanOrEqual(1000);
  expect(after.reads - before.reads).toBeLessThan(100);
});

test('a thousand registrations of one subject share a few script calls', async () => {
  await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
  const before = await calls('evalsha');
  const entries = Array.from({ length: 1000 }, (_, index) => entryAt(now, `j${index}`));
  await registry.registerMany(entries.map((entry) => ({ sub: 'alice', entry, now, maxPerSubject: 5_000 })));
  expect((await calls('evalsha')) - before).toBe(20);
  expect(await registry.list('alice', now)).toHaveLength(1001);
});

test('no call reads much more than a thousand members of a subject far above its maximum', async () => {
  const entries = Array.from({ length: 5000 }, (_, index) => entryAt(now, `j${index}`, { iat: now - index }));
  await registry.registerMany(entries.map((entry) => ({ sub: 'alice', entry, now })));
  const before = await calls('evalsha');
  await registerOne(registry, 'alice', entryAt(now, 'new'), { now, maxPerSubject: 10 });
  expect((await calls('evalsha')) - before).toBeGreaterThanOrEqual(5);
  expect(await registry.list('alice', now)).toHaveLength(10);
});

test('a thousand verifications in one turn share a few round trips', async () => {
  const subs = crowd(200);
  await Promise.all(subs.map((sub) => registerOne(registry, sub, entryAt(now, 'a'), { now })));
  const before = { reads: await reads(), commands: await commands() };
  const statusReader = await Promise.all(
    Array.from({ length: 1000 }, (_, index) => {
      return registry.tokenStatus(subs[index % subs.length] ?? '', entryAt(now, 'a'), now);
    }),
  );
  const after = { reads: await reads(), commands: await commands() };
  expect(statusReader.every(({ exp }) => exp === now + 3600)).toBe(true);
  expect(after.commands - before.commands).toBeGreaterThanOrEqual(1000);
  // Three pipelines of about 20 kB, which a server may read in pieces; the rest is this count itself.
  expect(after.reads - before.reads).toBeLessThan(100);
});
