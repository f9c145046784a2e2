import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keyspace } from '../../../src/adapters/redis/keyspace.js';
import type { RedisTokenRegistry } from '../../../src/adapters/redis/token-registry.js';
import type { ScannedSubject } from '../../../src/domain/ports/index.js';
import { countMatching } from '../../../src/domain/registry/count-matching.js';
import { registerOne } from '../../support/registering.js';
import { startRedisCluster } from '../../support/servers.js';
import { crowd, entryAt, openRegistry, realNow, redisCli, scanAll } from './registry-under-test.js';

let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
let nodes: string[];

beforeAll(async () => {
  cluster = await startRedisCluster({ replicasPerMaster: 0 });
  nodes = cluster.nodes.map(({ node }) => node);
});
afterAll(() => cluster.stop());

/** Returns subjects that share a slot that no other test has moved. */
function roommates(prefix: string, count: number): { slot: number; subs: string[] } {
  const bySlot = new Map<number, string[]>();
  for (let index = 0; ; index++) {
    const sub = `${prefix}-${index}`;
    const { slot } = keyspace(prefix).keysOf(sub);
    const subs = [...(bySlot.get(slot) ?? []), sub];
    if (subs.length === count) return { slot, subs };
    bySlot.set(slot, subs);
  }
}

describe('a slot that moves to another master', () => {
  let registry: RedisTokenRegistry;
  let prefix: string;
  let close: () => Promise<void>;
  let now: number;
  let slot: number;
  let subs: string[];
  let source: string;
  let target: string;

  beforeEach(async () => {
    ({ registry, prefix, close } = openRegistry(nodes));
    now = realNow();
    ({ slot, subs } = roommates(prefix, 4));
    for (const sub of subs)
      await registerOne(registry, sub, entryAt(now, 'a'), { now, meta: { device: 'phone' } });
    await Promise.all(crowd(20).map((sub) => registerOne(registry, sub, entryAt(now, 'a'), { now })));
    const owner = (await scanAll(registry)).subjects.find(({ sub }) => sub === subs[0])?.node;
    source = owner ?? '';
    target = nodes.find((node) => node !== owner) ?? '';
  });
  afterEach(async () => {
    await finishMoving();
    await registry.removeEverywhere({}, { now });
    await close();
  });

  async function beginMoving(): Promise<void> {
    const [sourceId, targetId] = await Promise.all(
      [source, target].map((node) => redisCli(node, 'CLUSTER', 'MYID')),
    );
    await redisCli(target, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId ?? '');
    await redisCli(source, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId ?? '');
  }
  async function moveKeys(...moving: string[]): Promise<void> {
    const [host = '', port = ''] = target.split(':');
    const keys = moving
      .map((sub) => keyspace(prefix).keysOf(sub))
      .flatMap(({ entries, meta }) => [entries, meta]);
    expect(await redisCli(source, 'MIGRATE', host, port, '', 0, 5000, 'KEYS', ...keys)).toBe('OK');
  }
  async function finishMoving(): Promise<void> {
    const keys = (await redisCli(source, 'CLUSTER', 'GETKEYSINSLOT', slot, 1000)).split('\n').filter(Boolean);
    const [host = '', port = ''] = target.split(':');
    if (keys.length > 0)
      await redisCli(source, 'MIGRATE', host, port, '', 0, 5000, 'REPLACE', 'KEYS', ...keys);
    const targetId = await redisCli(target, 'CLUSTER', 'MYID');
    for (const node of [target, ...nodes]) await redisCli(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
  }

  test('is found although the client still knows the old master', async () => {
    await beginMoving();
    await finishMoving();
    const statusReader = await Promise.all(
      subs.map((sub) => registry.tokenStatus(sub, entryAt(now, 'a'), now)),
    );
    expect(statusReader.map(({ exp }) => exp)).toEqual(subs.map(() => now + 3600));
    await registerOne(registry, subs[0] ?? '', entryAt(now, 'b'), { now });
    expect(await registry.list(subs[0] ?? '', now)).toHaveLength(2);
    expect((await registry.remove(subs[0] ?? '', {}, now)).removed).toBe(2);
  });

  test('is read, written, and removed from on both masters while it is moving', async () => {
    await beginMoving();
    await moveKeys(...subs.slice(2));
    for (const sub of subs) {
      expect((await registry.tokenStatus(sub, entryAt(now, 'a'), now)).exp, sub).toBe(now + 3600);
      await registerOne(registry, sub, entryAt(now, 'b'), { now, meta: { device: 'car' } });
      expect((await registry.list(sub, now)).map(({ meta }) => meta?.device)).toEqual(['phone', 'car']);
      expect((await registry.remove(sub, { jti: 'a' }, now)).removed).toBe(1);
      // The last meta is removed, and with it its key, before the script ends.
      await registerOne(registry, sub, entryAt(now, 'c'), { now });
      expect((await registry.remove(sub, { jti: 'b' }, now)).removed).toBe(1);
      expect(await registry.list(sub, now)).toMatchObject([{ jti: 'c', meta: null }]);
    }
  });

  test('returns each subject once in a scan, on whichever master it is', async () => {
    await beginMoving();
    await moveKeys(...subs.slice(2));
    const { subjects, complete, missed } = await scanAll(registry);
    expect({ complete, missed }).toEqual({ complete: true, missed: [] });
    expect(subjects.map(({ sub }) => sub).sort()).toEqual([...crowd(20), ...subs].sort());
  });

  test('returns meta and expiry in a scan if only the meta has moved', async () => {
    await beginMoving();
    const moved = subs.slice(1, 3).map((sub) => keyspace(prefix).keysOf(sub).meta);
    const [host = '', port = ''] = target.split(':');
    expect(await redisCli(source, 'MIGRATE', host, port, '', 0, 5000, 'KEYS', ...moved)).toBe('OK');
    const parts: ScannedSubject[] = [];
    await registry.scan((portion) => void parts.push(...portion), { now, withDetails: true });
    const found = parts.filter(({ sub }) => subs.includes(sub));
    expect(found.map(({ sub }) => sub).sort()).toEqual([...subs].sort());
    for (const { node, entries, details } of found) {
      expect(node).toBe(source);
      expect(entries).toMatchObject([{ jti: 'a', meta: { device: 'phone' } }]);
      expect(details?.expiresAt).toBeGreaterThan(now + 3600);
    }
  });

  test('is emptied on both masters by a global removal', async () => {
    await beginMoving();
    await moveKeys(...subs.slice(2));
    expect(await countMatching(registry, {}, { now })).toMatchObject({
      matched: 24,
      removed: 0,
      subjects: 24,
      complete: true,
    });
    expect(await registry.removeEverywhere({}, { now })).toMatchObject({ removed: 24, complete: true });
    expect((await scanAll(registry)).subjects).toEqual([]);
  });

  test('is waited for while one of two keys is missing (TRYAGAIN)', async () => {
    await registerOne(registry, subs[0] ?? '', entryAt(now, 'b'), { now });
    await registry.remove(subs[0] ?? '', { jti: 'a' }, now);
    await beginMoving();
    const removal = registry.removeEverywhere({}, { now });
    await delay(300);
    await finishMoving();
    expect(await removal).toMatchObject({ removed: 24, complete: true });
  });

  test('returns each subject once if it moves during a scan', async () => {
    const scan = (async () => {
      const seen: string[] = [];
      const outcome = await registry.scan((subjects) => void seen.push(...subjects.map(({ sub }) => sub)), {
        now,
      });
      return { seen: seen.sort(), complete: outcome.complete };
    })();
    await beginMoving();
    await finishMoving();
    expect(await scan).toEqual({ seen: [...crowd(20), ...subs].sort(), complete: true });
  });
});

test('a scan uses SCAN if the service forbids listing a slot', async () => {
  await Promise.all(
    nodes.map((node) =>
      redisCli(node, 'ACL', 'SETUSER', 'limited', 'on', '>pw', '~*', '+@all', '-cluster|getkeysinslot'),
    ),
  );
  const { registry, close } = openRegistry(nodes, { username: 'limited', password: 'pw' });
  const now = realNow();
  await Promise.all(crowd(60).map((sub) => registerOne(registry, sub, entryAt(now, 'a'), { now })));
  const { subjects, complete } = await scanAll(registry);
  expect(complete).toBe(true);
  expect(subjects.map(({ sub }) => sub).sort()).toEqual(crowd(60).sort());
  expect(new Set(subjects.map(({ node }) => node)).size).toBe(3);
  expect(await registry.removeEverywhere({}, { now })).toMatchObject({ removed: 60, complete: true });
  await close();
});

test('a scan without the right to EXPIRETIME reports its subjects as missed', async () => {
  const rules = ['on', '>pw', '~*', '+@all', '-expiretime'];
  await Promise.all(nodes.map((node) => redisCli(node, 'ACL', 'SETUSER', 'limited', ...rules)));
  const { registry, close } = openRegistry(nodes, { username: 'limited', password: 'pw' });
  const now = realNow();
  await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
  const parts: ScannedSubject[] = [];
  const outcome = await registry.scan((portion) => void parts.push(...portion), { now, withDetails: true });
  expect(parts).toEqual([]);
  expect(outcome).toMatchObject({
    complete: false,
    missed: [expect.stringContaining('not permitted expiretime')],
  });
  await registry.removeEverywhere({}, { now });
  await close();
});

test('a slot with thousands of foreign keys is scanned', async () => {
  const { registry, prefix, close } = openRegistry(nodes);
  const now = realNow();
  await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
  const node = (await scanAll(registry)).subjects[0]?.node ?? '';
  const script = "for i = 1, 3000 do redis.call('SET', KEYS[1] .. i, '', 'EX', 600) end";
  await redisCli(node, 'EVAL', script, 1, `theirs:{alice}:`);
  expect(
    Number(await redisCli(node, 'CLUSTER', 'COUNTKEYSINSLOT', keyspace(prefix).keysOf('alice').slot)),
  ).toBe(3001);
  const { subjects, complete } = await scanAll(registry);
  expect({ complete, subs: subjects.map(({ sub }) => sub) }).toEqual({ complete: true, subs: ['alice'] });
  await close();
});
