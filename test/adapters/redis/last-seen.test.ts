import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StatusReader, TokenRegistry } from '../../../src/domain/ports/index.js';
import { registerOne } from '../../support/registering.js';
import { redisNodes, startRedis } from '../../support/servers.js';
import {
  CLOCK_TOLERANCE_SECONDS,
  entryAt,
  openRegistry,
  realNow,
  redisCli,
  redisCliFollowing,
} from './registry-under-test.js';

describe('when tokens were last seen, in Redis', () => {
  let registry: TokenRegistry;
  let reader: StatusReader;
  let prefix: string;
  let close: () => Promise<void>;
  const now = realNow();

  beforeEach(() => {
    ({ registry, prefix, close } = openRegistry(redisNodes(), { idleTimeoutSeconds: 600 }));
    reader = registry.openStatusReader({ nearCache: true, now: realNow });
  });
  afterEach(async () => {
    reader.close();
    await close();
  });

  const members = async () =>
    (await redisCliFollowing(redisNodes()[0] ?? '', 'ZRANGE', `${prefix}:{alice}`, 0, -1)).split('\n');

  test('is one member beside each entry, and goes with it', async () => {
    const [one, other] = [entryAt(now, 'one'), entryAt(now, 'other')];
    for (const entry of [one, other]) await registerOne(registry, 'alice', entry, { now });
    expect(await members()).toHaveLength(4);
    expect(await members()).toEqual(expect.arrayContaining(['~one', '~other']));
    await registry.remove('alice', { jti: 'one' }, now);
    expect(await members()).toEqual(['~other', expect.stringContaining('.other')]);
  });

  test('goes with an expired entry at the next write', async () => {
    const old = entryAt(now, 'old', { exp: now - CLOCK_TOLERANCE_SECONDS - 1 });
    await registerOne(registry, 'alice', old, { now: now - 100 });
    await registerOne(registry, 'alice', entryAt(now, 'new'), { now });
    expect(await members()).toEqual(['~new', expect.stringContaining('.new')]);
  });

  test('a score that jwtctl does not write counts as no time, and its member as foreign', async () => {
    await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
    for (const score of ['1.5', `${now}`, '-1.5', '0']) {
      await redisCliFollowing(redisNodes()[0] ?? '', 'ZADD', `${prefix}:{alice}`, score, '~a');
      expect((await reader.of('alice', entryAt(now, 'a')).read()).lastSeen, score).toBeUndefined();
    }
    const malformed: number[] = [];
    await registry.scan((some) => void malformed.push(...some.map((one) => one.malformed)), { now });
    expect(malformed).toEqual([1]);
  });

  test('does not move back by a clock that is behind', async () => {
    const entry = entryAt(now, 'a');
    await registerOne(registry, 'alice', entry, { now });
    await reader.touch('alice', entry, now - 3_600, now);
    expect((await reader.of('alice', entry).read()).lastSeen).toBe(now);
  });

  test('is not read if the caller does not need it', async () => {
    const entry = entryAt(now, 'a');
    await registerOne(registry, 'alice', entry, { now });
    const query = reader.of('alice', entry);
    expect(await query.read(false)).toMatchObject({ exp: entry.exp, lastSeen: undefined });
    expect(await query.read(true)).toMatchObject({ exp: entry.exp, lastSeen: now });
  });

  test('a touch makes a near cache read the entry again', async () => {
    const entry = entryAt(now, 'a');
    await registerOne(registry, 'alice', entry, { now });
    const { lease } = await reader.of('alice', entry).read();
    expect(lease?.isValid(realNow())).toBe(true);
    await reader.touch('alice', entry, now + 5);
    const again = await reader.of('alice', entry).read();
    expect([lease?.isValid(realNow()), again.lastSeen]).toEqual([false, now + 5]);
  });
});

describe('a Redis that refuses writes', () => {
  let server: Awaited<ReturnType<typeof startRedis>>;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  // A touch only replaces a score, so it needs no memory. Otherwise other verifiers would refuse tokens in use.
  test.each([
    ['without memory', 'is stored', 'maxmemory'],
    ['without replicas', 'fails', 'min-replicas-to-write'],
  ])('%s a touch %s, and reads are answered', async (_, outcome, setting) => {
    const now = realNow();
    const { registry, close } = openRegistry([server.node], { mode: 'standalone', idleTimeoutSeconds: 600 });
    const reader = registry.openStatusReader({ nearCache: false, now: realNow });
    const entry = entryAt(now, 'a');
    try {
      await registerOne(registry, 'alice', entry, { now });
      await redisCli(server.node, 'CONFIG', 'SET', setting, '1');
      const touched = reader.touch('alice', entry, now + 5);
      if (outcome === 'fails') await expect(touched).rejects.toMatchObject({ kind: 'unavailable' });
      else await touched;
      const lastSeen = outcome === 'fails' ? now : now + 5;
      expect(await reader.of('alice', entry).read()).toMatchObject({ exp: entry.exp, lastSeen });
    } finally {
      await redisCli(server.node, 'CONFIG', 'SET', setting, '0');
      reader.close();
      await close();
    }
  });
});
