import { Cluster } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Heartbeat, TokenRegistry } from '../../../src/domain/ports/index.js';
import { redisNodes, startRedis } from '../../support/servers.js';
import { openRegistry as open, parseNode, realNow, redisCli } from './registry-under-test.js';

let client: Cluster;
beforeAll(() => {
  client = new Cluster(redisNodes().map(parseNode));
});
afterAll(() => client.disconnect());

/** Opens the registry as a port, whose `fleet` takes the current time. */
function openRegistry(): { registry: TokenRegistry; prefix: string; close(): Promise<void> } {
  return open(redisNodes());
}

function heartbeat(id: string, now: number): Heartbeat {
  return {
    ...{ id, host: 'api-1', pid: 1, startedAt: now, kids: [], log: { position: 0, missing: [] } },
    ...{ refused: 0, readAt: null, at: now, until: now + 10 },
  };
}

test('reports drop some expired heartbeats each, and the key expires with the last one', async () => {
  const { registry, prefix, close } = openRegistry();
  const now = realNow();
  const key = `${prefix}:fleet`;
  try {
    for (let id = 0; id < 40; id++)
      await client.hset(key, `gone-${id}`, `${now - 1} ${JSON.stringify(heartbeat('gone', now))}`);
    await client.hset(key, 'foreign', 'no heartbeat of ours', 'far', `${now + 9_999} {}`);
    await client.hset(key, 'running', `${now + 60} ${JSON.stringify(heartbeat('running', now))}`);
    await registry.report(heartbeat('a', now));
    const left = await client.hlen(key);
    // Up to three of the ten checked fields may be valid ones.
    expect(left).toBeGreaterThanOrEqual(45 - 10);
    expect(left).toBeLessThanOrEqual(45 - 7);
    expect(await client.ttl(key)).toBeGreaterThan(10);
    expect(await client.ttl(key)).toBeLessThanOrEqual(15);
    for (let round = 0; round < 200; round++) await registry.report(heartbeat('a', now));
    expect((await client.hkeys(key)).sort()).toEqual(['a', 'kept', 'running']);
  } finally {
    await client.unlink(key);
    await close();
  }
});

test('a host whose clock is ahead does not drop the heartbeats of others', async () => {
  const { registry, prefix, close } = openRegistry();
  const now = realNow();
  try {
    await registry.report(heartbeat('right', now));
    for (let round = 0; round < 20; round++) await registry.report(heartbeat('ahead', now + 86_400));
    expect((await registry.fleet(now)).verifiers.map(({ id }) => id)).toEqual(['right', 'ahead']);
  } finally {
    await client.unlink(`${prefix}:fleet`);
    await close();
  }
});

test("a host whose clock is ahead lists exactly the heartbeats that are valid by the server's clock", async () => {
  const { registry, prefix, close } = openRegistry();
  const now = realNow();
  try {
    await client.hset(`${prefix}:fleet`, 'over', `${now} ${JSON.stringify(heartbeat('over', now))}`);
    await registry.report(heartbeat('a', now));
    for (const asked of [now - 86_400, now, now + 16, now + 86_400])
      expect((await registry.fleet(asked)).verifiers.map(({ id }) => id)).toEqual(['a']);
  } finally {
    await client.unlink(`${prefix}:fleet`);
    await close();
  }
});

test('keptSeconds starts again after a loss, a server change, or a gap without heartbeats', async () => {
  const { registry, prefix, close } = openRegistry();
  const key = `${prefix}:fleet`;
  const kept = async () => (await registry.fleet(realNow())).keptSeconds;
  /** Pretends that heartbeats were kept for a minute, until some seconds ago. */
  const age = async (silentSeconds: number, run?: string) => {
    const [, , runId] = String(await client.hget(key, 'kept')).split(' ');
    const now = realNow();
    await client.hset(key, 'kept', `${now - 60} ${now - silentSeconds} ${run ?? runId}`);
  };
  try {
    expect(await kept()).toBe(0);
    await registry.report(heartbeat('a', realNow()));
    expect(await kept()).toBeLessThanOrEqual(1);
    expect(await client.hget(key, 'kept')).toMatch(/^\d+ \d+ [0-9a-f]{40}$/);

    await age(1);
    await registry.report(heartbeat('a', realNow()));
    expect(await kept()).toBeGreaterThanOrEqual(60);
    await registry.deregister('a');
    expect(await kept()).toBeGreaterThanOrEqual(60);
    for (const loss of [() => age(8), () => age(1, 'another'), () => client.unlink(key)]) {
      await registry.report(heartbeat('a', realNow()));
      await age(1);
      expect(await kept()).toBeGreaterThanOrEqual(60);
      await loss();
      expect(await kept()).toBe(0);
      await registry.report(heartbeat('b', realNow()));
      expect(await kept()).toBeLessThanOrEqual(1);
    }
  } finally {
    await client.unlink(key);
    await close();
  }
});

test('ignores and counts heartbeats that no verifier can have written', async () => {
  const { registry, prefix, close } = openRegistry();
  const now = realNow();
  const key = `${prefix}:fleet`;
  const real = heartbeat('a', now);
  const forged: Record<string, unknown> = {
    ...{ text: 'no JSON', nothing: null, empty: {}, other: { ...real, id: 'a' } },
    long: { ...real, id: 'long', kids: Array.from({ length: 20_000 }, (_, index) => `kid-${index}`) },
    host: { ...real, id: 'host', host: 'h'.repeat(256) },
    pid: { ...real, id: 'pid', pid: -1 },
    until: { ...real, id: 'until', until: now + 99_999 },
    position: { ...real, id: 'position', log: { position: 1.5, missing: [] } },
    ['n'.repeat(65)]: { ...real, id: 'n'.repeat(65) },
  };
  try {
    await registry.report(real);
    for (const [id, heartbeat] of Object.entries(forged))
      await client.hset(
        key,
        id,
        `${now + 15} ${typeof heartbeat === 'string' ? heartbeat : JSON.stringify(heartbeat)}`,
      );
    await client.hset(key, 'far', `${now + 99_999} ${JSON.stringify({ ...real, id: 'far' })}`);
    await client.hset(key, 'over', `${now - 1} ${JSON.stringify({ ...real, id: 'over' })}`);
    expect(await registry.fleet(now)).toMatchObject({
      verifiers: [real],
      untrusted: Object.keys(forged).length + 1,
    });
  } finally {
    await client.unlink(key);
    await close();
  }
});

test.each([
  { what: 'many', count: 5_001, length: 10 },
  { what: 'large', count: 600, length: 30_000 },
])('does not read too $what heartbeats, and says what to do', async ({ count, length }) => {
  const { registry, prefix, close } = openRegistry();
  const now = realNow();
  const key = `${prefix}:fleet`;
  try {
    const fields = Array.from({ length: count }, (_, index) => [
      `v${index}`,
      `${now + 60} ${'x'.repeat(length)}`,
    ]);
    for (let from = 0; from < fields.length; from += 100)
      await client.hset(key, ...fields.slice(from, from + 100).flat());
    await expect(registry.fleet(now)).rejects.toMatchObject({
      code: 'ERR_TOO_MANY_HEARTBEATS',
      kind: 'state',
      message: expect.stringContaining(`${count} heartbeats`),
      hint: expect.stringContaining(`DEL ${key}`),
    });
  } finally {
    await client.unlink(key);
    await close();
  }
});

test('a key of another type is an error and stays', async () => {
  const { registry, prefix, close } = openRegistry();
  const key = `${prefix}:fleet`;
  try {
    await client.set(key, 'theirs');
    const work = [
      registry.report(heartbeat('a', realNow())),
      registry.fleet(realNow()),
      registry.deregister('a'),
    ];
    for (const outcome of await Promise.allSettled(work))
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'ERR_REDIS_WRONG_TYPE', kind: 'state' },
      });
    expect(await client.get(key)).toBe('theirs');
  } finally {
    await client.unlink(key);
    await close();
  }
});

test('verifiers can report, and reports can be read, while memory is full', async () => {
  const server = await startRedis();
  const { registry, close } = open([server.node], { mode: 'standalone' });
  const now = realNow();
  try {
    await redisCli(server.node, 'CONFIG', 'SET', 'maxmemory', 1);
    expect((await registry.fleet()).verifiers).toEqual([]);
    for (const id of ['a', 'b', 'a']) await registry.report(heartbeat(id, now));
    expect((await registry.fleet()).verifiers.map(({ id }) => id)).toEqual(['a', 'b']);
    await registry.deregister('b');
    expect((await registry.fleet()).verifiers.map(({ id }) => id)).toEqual(['a']);
  } finally {
    await close();
    await server.stop();
  }
});

test('listing the running verifiers needs no right to write', async () => {
  const server = await startRedis();
  await redisCli(server.node, 'ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '+@all', '-@write');
  const writer = open([server.node], { mode: 'standalone' });
  const login = { username: 'reader', password: 'secret' };
  const reader = open([server.node], { mode: 'standalone', prefix: writer.prefix, ...login });
  const now = realNow();
  try {
    await writer.registry.report(heartbeat('a', now));
    expect((await reader.registry.fleet()).verifiers.map(({ id }) => id)).toEqual(['a']);
  } finally {
    await Promise.all([writer.close(), reader.close()]);
    await server.stop();
  }
});

test('while the server refuses all writes, an empty list is an error', async () => {
  const server = await startRedis({ config: ['min-replicas-to-write 1', 'repl-diskless-sync-delay 0'] });
  const { registry, close } = open([server.node], { mode: 'standalone' });
  const now = realNow();
  try {
    await expect(registry.report(heartbeat('a', now))).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(registry.fleet()).rejects.toMatchObject({ code: 'ERR_REDIS_NOT_READY' });
    await redisCli(server.node, 'CONFIG', 'SET', 'min-replicas-to-write', 0);
    expect((await registry.fleet()).verifiers).toEqual([]);
    await registry.report(heartbeat('a', now));
    await redisCli(server.node, 'CONFIG', 'SET', 'min-replicas-to-write', 1);
    // Verifiers that reported a moment ago are still listed.
    expect((await registry.fleet()).verifiers.map(({ id }) => id)).toEqual(['a']);
  } finally {
    await close();
    await server.stop();
  }
});
