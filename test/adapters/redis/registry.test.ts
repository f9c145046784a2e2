import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { keyspace } from '../../../src/adapters/redis/keyspace.js';
import type { RedisTokenRegistry } from '../../../src/adapters/redis/token-registry.js';
import { legacyId } from '../../../src/domain/model/legacy-id.js';
import type { ScannedSubject } from '../../../src/domain/ports/index.js';
import { registerOne } from '../../support/registering.js';
import { redisNodes } from '../../support/servers.js';
import {
  CLOCK_TOLERANCE_SECONDS,
  crowd,
  entryAt,
  openRegistry,
  realNow,
  redisCli,
  redisCliFollowing,
  scanAll,
} from './registry-under-test.js';

let registry: RedisTokenRegistry;
let prefix: string;
let close: () => Promise<void>;
let now: number;

beforeEach(() => {
  ({ registry, prefix, close } = openRegistry(redisNodes()));
  now = realNow();
});
afterEach(() => close());

/** Sends a raw command to the master of the key. */
function raw(...words: Array<string | number>): Promise<string> {
  return redisCliFollowing(redisNodes()[0] ?? '', ...words);
}

test.each([-3600, 3600])(
  'registers on a host whose clock differs from that of Redis by %i s',
  async (seconds) => {
    const { now: hostNow } = Date;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => hostNow() + seconds * 1000);
    try {
      await registerOne(registry, 'alice', entryAt(now, 'a'), { now, maxPerSubject: 1 });
      await registerOne(registry, 'alice', entryAt(now, 'b', { iat: now }), { now, maxPerSubject: 1 });
    } finally {
      clock.mockRestore();
    }
    expect((await registry.list('alice', now)).map(({ jti }) => jti)).toEqual(['b']);
  },
);

describe('placement', () => {
  test('subjects are spread over three masters, and a scan reports the master of each', async () => {
    await Promise.all(crowd(60).map((sub) => registerOne(registry, sub, entryAt(now, 'a'), { now })));
    const { subjects, nodes } = await scanAll(registry);
    const masters = new Set(subjects.map(({ node }) => node));
    expect(masters.size).toBe(3);
    expect(nodes.map(({ node }) => node).sort()).toEqual([...masters].sort());
    expect(nodes.reduce((sum, { slots }) => sum + (slots ?? 0), 0)).toBe(16_384);
    expect(nodes.every(({ usedMemoryBytes }) => (usedMemoryBytes ?? 0) > 0)).toBe(true);
    for (const { sub, node } of subjects.slice(0, 6)) {
      expect(await redisCli(node, 'EXISTS', keyspace(prefix).keysOf(sub).entries)).toBe('1');
    }
  });

  test('a scan samples the memory of subjects', async () => {
    await registerOne(registry, 'alice', entryAt(now, 'a'), { now, meta: { device: 'phone' } });
    const { subjects } = await scanAll(registry);
    const set = Number(await raw('MEMORY', 'USAGE', `${prefix}:{alice}`));
    expect(subjects[0]?.bytes).toBe(set + Number(await raw('MEMORY', 'USAGE', `${prefix}:{alice}:meta`)));
  });

  test('entries with the usual jti keep the compact encoding', async () => {
    for (let index = 0; index < 20; index++) {
      await registerOne(registry, 'alice', entryAt(now, `${index}`.padStart(22, 'x')), { now });
    }
    expect(await raw('OBJECT', 'ENCODING', `${prefix}:{alice}`)).toBe('listpack');
  });

  test('a subject without meta has no key for them', async () => {
    await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
    expect(await raw('EXISTS', `${prefix}:{alice}:meta`)).toBe('0');
    await registerOne(registry, 'alice', entryAt(now, 'b'), { now, meta: { device: 'phone' } });
    expect(await raw('HLEN', `${prefix}:{alice}:meta`)).toBe('1');
  });

  test('lists three masters that share the slots, each with its replica', async () => {
    await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
    const nodes = await registry.nodes();
    expect(nodes.map(({ role }) => role).sort()).toEqual([
      'master',
      'master',
      'master',
      'replica',
      'replica',
      'replica',
    ]);
    expect(nodes.every(({ reachable }) => reachable)).toBe(true);
    expect(nodes.reduce((sum, { slots }) => sum + (slots ?? 0), 0)).toBe(16_384);
    expect(nodes.map(({ node }) => node).sort()).toEqual([...redisNodes()].sort());
    for (const node of nodes) {
      expect(node.maxmemoryPolicy).toBe('noeviction');
      expect(node.usedMemoryBytes).toBeGreaterThan(0);
      expect(node.keys).toBeGreaterThanOrEqual(0);
      if (node.role === 'replica') expect(node.lagBytes).toBeGreaterThanOrEqual(0);
      else expect(node).toMatchObject({ master: null, lagBytes: null });
    }
  });
});

describe('both keys expire exactly with the last entry', () => {
  async function expiry(): Promise<{ set: number; meta: number }> {
    return {
      set: Number(await raw('EXPIRETIME', `${prefix}:{alice}`)),
      meta: Number(await raw('EXPIRETIME', `${prefix}:{alice}:meta`)),
    };
  }
  function at(exp: number): { set: number; meta: number } {
    return { set: exp + CLOCK_TOLERANCE_SECONDS, meta: exp + CLOCK_TOLERANCE_SECONDS };
  }

  test('after registering a longer one and a shorter one', async () => {
    await registerOne(registry, 'alice', entryAt(now, 'a', { exp: now + 100 }), {
      now,
      meta: { device: 'phone' },
    });
    expect(await expiry()).toEqual(at(now + 100));
    await registerOne(registry, 'alice', entryAt(now, 'b', { exp: now + 200 }), { now });
    expect(await expiry()).toEqual(at(now + 200));
    await registerOne(registry, 'alice', entryAt(now, 'c', { exp: now + 50 }), { now });
    expect(await expiry()).toEqual(at(now + 200));
  });

  test('after removing, evicting, and caching a status that is valid for longer', async () => {
    const user = { status: 'enabled', version: 1, until: now + 99_999 } as const;
    await registerOne(registry, 'alice', entryAt(now, 'a', { exp: now + 100 }), {
      now,
      meta: { device: 'phone' },
    });
    await registerOne(registry, 'alice', entryAt(now, 'b', { exp: now + 300 }), {
      now,
      meta: { device: 'car' },
      user,
    });
    expect(await expiry()).toEqual(at(now + 300));
    await registry.remove('alice', { jti: 'b' }, now);
    expect(await expiry()).toEqual(at(now + 100));
    await registry.setUserStatus('alice', user, now);
    expect(await expiry()).toEqual(at(now + 100));
    await registerOne(registry, 'alice', entryAt(now, 'c', { exp: now + 400 }), { now });
    const shorter = entryAt(now, 'd', { exp: now + 80, iat: now });
    await registerOne(registry, 'alice', shorter, { now, meta: { device: 'tv' }, maxPerSubject: 1 });
    expect(await expiry()).toEqual(at(now + 80));
  });

  test('after removing everywhere', async () => {
    await registerOne(registry, 'alice', entryAt(now, 'a', { exp: now + 100 }), {
      now,
      meta: { device: 'phone' },
    });
    await registerOne(registry, 'alice', entryAt(now, 'b', { keyId: 2, exp: now + 300 }), {
      now,
      meta: { device: 'car' },
    });
    await registry.removeEverywhere({ keyId: 2 }, { now });
    expect(await expiry()).toEqual(at(now + 100));
  });

  test('both keys go with the last entry', async () => {
    const user = { status: 'enabled', version: 1, until: now + 60 } as const;
    await registerOne(registry, 'alice', entryAt(now, 'a'), { now, meta: { device: 'phone' }, user });
    await registry.remove('alice', {}, now);
    expect(await raw('EXISTS', `${prefix}:{alice}`, `${prefix}:{alice}:meta`)).toBe('0');
  });

  test('the next write removes expired members and their meta, but not a version or "disabled"', async () => {
    const user = { status: 'disabled', version: 3, until: now + 900 } as const;
    const later = now + 2;
    const exp = later - CLOCK_TOLERANCE_SECONDS;
    await registerOne(registry, 'alice', entryAt(now, 'a', { exp }), {
      now,
      meta: { device: 'phone' },
      user,
    });
    await registerOne(registry, 'alice', entryAt(now, 'b'), { now, meta: { device: 'car' } });
    await expect.poll(() => realNow(), { timeout: 10_000 }).toBeGreaterThanOrEqual(later);
    await registerOne(registry, 'alice', entryAt(now, 'c'), { now: later });
    expect(await raw('ZCARD', `${prefix}:{alice}`)).toBe('4');
    expect(await raw('HLEN', `${prefix}:{alice}:meta`)).toBe('1');
    expect((await registry.tokenStatus('alice', entryAt(now, 'b'), later)).user?.status).toBe('disabled');
    expect(await raw('ZSCORE', `${prefix}:{alice}`, '!v')).toBe('-3');
  });
});

test("a host whose clock is ahead removes no entry that is valid by the server's clock", async () => {
  const ahead = now + 120;
  await registerOne(registry, 'alice', entryAt(now, 'a', { exp: now + 60 }), {
    now,
    meta: { device: 'phone' },
  });
  await registry.removeEntries([{ sub: 'alice', entries: [] }], ahead);
  const user = { status: 'enabled', version: 1, until: ahead + 60 } as const;
  await registry.setUserStatus('alice', user, ahead);
  await registry.remove('alice', { jti: 'other' }, ahead);
  await registry.removeEverywhere({ keyId: 99 }, { now: ahead });
  await registerOne(registry, 'alice', entryAt(ahead, 'b'), { now: ahead });
  const listed = await registry.list('alice', now);
  expect(listed.map(({ jti, meta }) => [jti, meta?.device])).toEqual([
    ['a', 'phone'],
    ['b', undefined],
  ]);
});

describe('foreign keys and members', () => {
  test('keys with similar names are neither counted nor touched', async () => {
    const strings = [
      `${prefix}`,
      `${prefix}x:{a}`,
      `${prefix}:{a`,
      `${prefix}:{alice2}`,
      `${prefix}:{bob}:meta`,
    ];
    const sets = [`${prefix}:{%41}`, `${prefix}:{%2a}`, `${prefix}:{a}b`, `${prefix}:{a b}`];
    for (const key of strings) await raw('SET', key, 'theirs', 'EX', 600);
    for (const key of sets) await raw('ZADD', key, now + 600, `1.${(now - 10).toString(36)}.a`);
    await registerOne(registry, 'bob', entryAt(now, 'a'), { now, meta: { device: 'phone' } });

    const { subjects, complete } = await scanAll(registry);
    expect(complete).toBe(true);
    expect(subjects.map(({ sub }) => sub)).toEqual(['bob']);
    expect(await registry.removeEverywhere({}, { now })).toMatchObject({
      matched: 1,
      removed: 1,
      complete: true,
    });
    for (const key of strings) expect(await raw('GET', key), key).toBe('theirs');
    for (const key of sets) expect(await raw('ZCARD', key), key).toBe('1');
    await Promise.all([...strings, ...sets].map((key) => raw('DEL', key)));
  });

  test("a string under a subject's name is ignored and stays", async () => {
    const key = `${prefix}:{alice2}`;
    await raw('SET', key, 'theirs', 'EX', 600);
    const user = { status: 'disabled', version: 1, until: now + 60 } as const;
    expect(await registry.tokenStatus('alice2', entryAt(now, 'a'), now)).toEqual({ exp: null, user: null });
    const refused = { kind: 'state', code: 'ERR_REDIS_WRONG_TYPE', details: { key } };
    await expect(registry.list('alice2', now)).rejects.toMatchObject(refused);
    await expect(registry.scan(() => {}, { now, sub: 'alice2' })).rejects.toMatchObject(refused);
    expect((await scanAll(registry)).subjects).toEqual([]);
    expect(await registry.remove('alice2', {}, now)).toEqual({
      ...{ removed: 0, families: 0, replicasConfirmed: null },
    });
    await registry.setUserStatus('alice2', user, now);
    const [first, foreign, last] = await registry.registerMany(
      ['alice', 'alice2', 'bob'].map((sub) => ({ sub, entry: entryAt(now, 'a'), now })),
    );
    expect([first, last]).toEqual(['added', 'added']);
    expect(foreign).toMatchObject(refused);
    await expect(registerOne(registry, 'alice2', entryAt(now, 'a'), { now })).rejects.toMatchObject(refused);
    expect(await raw('GET', key)).toBe('theirs');
  });

  test('registers nothing if a legacy token has no place for its key', async () => {
    const key = `${prefix}:{alice2}:meta`;
    await raw('SET', key, 'theirs', 'EX', 600);
    const entries = [entryAt(now, 'a'), entryAt(now, legacyId('b'))];
    const outcomes = await registry.registerMany(entries.map((entry) => ({ sub: 'alice2', entry, now })));
    expect(outcomes.at(-1)).toMatchObject({ code: 'ERR_REDIS_WRONG_TYPE', details: { key } });
    expect(await raw('EXISTS', `${prefix}:{alice2}`)).toBe('0');
    expect(await raw('GET', key)).toBe('theirs');
  });

  test('foreign members count as malformed, do not extend the expiry, and go with the set', async () => {
    await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
    await raw('ZADD', `${prefix}:{alice}`, now + 9999, 'nonsense', '+inf', '1.1.inf', 5, '01.1.x');
    const { subjects } = await scanAll(registry);
    expect(subjects).toMatchObject([{ sub: 'alice', entries: [{ jti: 'a' }], malformed: 3 }]);
    await registerOne(registry, 'alice', entryAt(now, 'b'), { now });
    expect(Number(await raw('EXPIRETIME', `${prefix}:{alice}`))).toBe(now + 3600 + CLOCK_TOLERANCE_SECONDS);
    await registry.remove('alice', { jti: 'a' }, now);
    expect(await raw('ZCARD', `${prefix}:{alice}`)).toBe('4');
    await registry.removeEverywhere({}, { now });
    expect(await raw('EXISTS', `${prefix}:{alice}`)).toBe('0');
  });

  test('a set with only foreign members stays', async () => {
    await raw('ZADD', `${prefix}:{alice}`, now + 9999, 'nonsense', '+inf', '1.1.inf', 5, '01.1.x');
    const user = { status: 'enabled', version: 1, until: now + 60 } as const;
    await registry.remove('alice', {}, now);
    await registry.removeEverywhere({}, { now });
    await registry.removeEntries([{ sub: 'alice', entries: [] }], now);
    await registry.setUserStatus('alice', user, now);
    expect(await raw('ZCARD', `${prefix}:{alice}`)).toBe('3');
    await raw('DEL', `${prefix}:{alice}`);
  });
});

test('a scan returns a set without entries if it holds a cached status', async () => {
  const expired = `1.1.${'x'.repeat(9)}`;
  await raw('ZADD', `${prefix}:{alice}`, now + 9999, 'nonsense', 5, '01.1.x', 7, expired);
  await raw('ZADD', `${prefix}:{dave}`, now + 9999, 'nonsense', 5, '01.1.x');
  await raw('ZADD', `${prefix}:{bob}`, -3, '!v');
  // More than one read returns.
  const many = Array.from({ length: 1_200 }, (_, index) => [index, `nonsense-${index}`]).flat();
  await raw('ZADD', `${prefix}:{carol}`, ...many, 2_000, '!s');
  await raw('ZADD', `${prefix}:{erin}`, ...many);
  for (const withDetails of [false, true]) {
    const subjects: ScannedSubject[] = [];
    await registry.scan((portion) => void subjects.push(...portion), { now, withDetails });
    const malformed = new Map<string, number>();
    for (const one of subjects) malformed.set(one.sub, (malformed.get(one.sub) ?? 0) + one.malformed);
    expect(Object.fromEntries(malformed)).toEqual({
      ...{ alice: 2, carol: 1_200 },
      ...(withDetails ? { bob: 0 } : {}),
    });
    expect(subjects.every(({ entries }) => entries.length === 0)).toBe(true);
  }
  for (const sub of ['alice', 'bob', 'carol', 'dave', 'erin']) await raw('DEL', `${prefix}:{${sub}}`);
});

describe('replicas', () => {
  test('confirm a removal by a script that is not loaded yet', async () => {
    await Promise.all(crowd(20).map((sub) => registerOne(registry, sub, entryAt(now, 'a'), { now })));
    const { nodes } = await scanAll(registry);
    await Promise.all(nodes.map(({ node }) => redisCli(node, 'SCRIPT', 'FLUSH')));
    expect(await registry.remove('user-1', {}, now)).toEqual({
      ...{ removed: 1, families: 0, replicasConfirmed: 1 },
    });
    await Promise.all(nodes.map(({ node }) => redisCli(node, 'SCRIPT', 'FLUSH')));
    expect(await registry.removeEverywhere({}, { now })).toMatchObject({ removed: 19, replicasConfirmed: 1 });
  });

  test('confirm the removal of one entry and of all', async () => {
    await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
    await registerOne(registry, 'alice', entryAt(now, 'b'), { now });
    expect(await registry.remove('alice', { jti: 'a' }, now)).toEqual({
      ...{ removed: 1, families: 0, replicasConfirmed: 1 },
    });
    await Promise.all(crowd(20).map((sub) => registerOne(registry, sub, entryAt(now, 'a'), { now })));
    expect(await registry.removeEverywhere({}, { now })).toMatchObject({ removed: 21, replicasConfirmed: 1 });
  });
});
