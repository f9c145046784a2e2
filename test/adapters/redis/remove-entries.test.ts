import { Cluster } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keyspace, type SubjectKeys } from '../../../src/adapters/redis/keyspace.js';
import type { TokenRegistry } from '../../../src/domain/ports/index.js';
import { registerOne } from '../../support/registering.js';
import { redisNodes, startRedis, startRedisCluster } from '../../support/servers.js';
import {
  CLOCK_TOLERANCE_SECONDS,
  crowd,
  entryAt,
  openRegistry,
  parseNode,
  realNow,
  redisCli,
  scanAll,
} from './registry-under-test.js';

/** Foreign members that resemble entries, live and expired by their scores. */
const FOREIGN_MEMBERS = ['garbage', '1.2', '01.2.x', '1.02.x', '.1.x', 'A.1.x', '1.zzzzzzzzzzz.x', '!t', ''];

describe('removeEntries', () => {
  let client: Cluster;
  let registry: TokenRegistry;
  let close: () => Promise<void>;
  let keys: SubjectKeys;
  let now: number;

  beforeAll(() => {
    client = new Cluster(redisNodes().map(parseNode));
  });
  afterAll(() => client.disconnect());
  beforeEach(async () => {
    const opened = openRegistry(redisNodes());
    ({ registry, close } = opened);
    keys = keyspace(opened.prefix).keysOf('alice');
    now = realNow();
  });
  afterEach(() => close());

  async function plantForeignMembers(): Promise<string[]> {
    await client.zadd(keys.entries, ...FOREIGN_MEMBERS.flatMap((member) => [now + 9_999, member]));
    await client.zadd(
      keys.entries,
      5,
      'old',
      now + 0.5,
      '1.2.fraction',
      '-7',
      '1.2.negative',
      'inf',
      '1.2.inf',
    );
    return [...FOREIGN_MEMBERS, 'old', '1.2.fraction', '1.2.negative', '1.2.inf'].sort();
  }

  test('leaves foreign members beside entries that stay', async () => {
    const foreignMembers = await plantForeignMembers();
    await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
    await registerOne(registry, 'alice', entryAt(now, 'b', { exp: now + 60 }), { now });
    // Registering removes expired entries.
    await client.zadd(keys.entries, 5, 'old');
    await client.zadd(keys.entries, now - 9, '1.2.expired');

    const { removed } = await registry.removeEntries([{ sub: 'alice', entries: [entryAt(now, 'a')] }], now);

    expect(removed).toBe(1);
    expect((await registry.list('alice', now)).map(({ jti }) => jti)).toEqual(['b']);
    const left = (await client.zrange(keys.entries, '0', '-1')).filter((member) => !member.endsWith('.b'));
    expect(left.sort()).toEqual(foreignMembers);
    expect(await client.expiretime(keys.entries)).toBe(now + 60 + CLOCK_TOLERANCE_SECONDS);
    const [seen] = (await scanAll(registry)).subjects;
    expect(seen).toMatchObject({ malformed: foreignMembers.length });
  });

  test('removes every expired entry beside a foreign member with a low score', async () => {
    await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
    await client.zadd(keys.entries, 5, 'old');
    const expired = Array.from({ length: 2_500 }, (_, index) => [now - 9, `1.2.expired-${index}`]);
    await client.zadd(keys.entries, ...expired.flat());

    await registry.removeEntries([{ sub: 'alice', entries: [] }], now);

    expect(await client.zcard(keys.entries)).toBe(2);
  });

  test('removes the set with the last entry, foreign members included', async () => {
    const user = { status: 'enabled', version: 1, until: now + 60 } as const;
    await registerOne(registry, 'alice', entryAt(now, 'a'), { now, user, meta: { device: 'phone' } });
    await client.zadd(keys.entries, now - 9, '1.2.expired');
    await plantForeignMembers();

    await registry.removeEntries([{ sub: 'alice', entries: [entryAt(now, 'a')] }], now);

    expect(await client.exists(keys.entries)).toBe(0);
    expect(await client.exists(keys.meta)).toBe(0);
  });

  describe('if a part fails', () => {
    let server: Awaited<ReturnType<typeof startRedis>>;
    beforeAll(async () => {
      server = await startRedis();
    });
    afterAll(() => server.stop());

    test('counts what was removed and reports the failure', async () => {
      const all = openRegistry([server.node], { mode: 'standalone' });
      const subs = ['locked-1', ...crowd(150), 'locked-2'];
      await all.registry.registerMany(subs.map((sub) => ({ sub, entry: entryAt(now, 'a'), now })));
      const patterns = [`~${all.prefix}:{user-*`, '&*', '+@all'];
      await redisCli(server.node, 'ACL', 'SETUSER', 'limited', 'on', '>pw', ...patterns);
      const limited = openRegistry([server.node], {
        ...{ mode: 'standalone', prefix: all.prefix, username: 'limited', password: 'pw' },
      });
      const entries = [entryAt(now, 'a')];

      const outcome = await limited.registry.removeEntries(
        subs.map((sub) => ({ sub, entries })),
        now,
      );

      expect(outcome).toMatchObject({
        ...{ removed: 150, byNode: [{ node: server.node, removed: 150 }] },
        failure: { code: 'ERR_REDIS_FORBIDDEN' },
      });
      expect((await scanAll(all.registry)).subjects.map(({ sub }) => sub).sort()).toEqual([
        ...['locked-1', 'locked-2'],
      ]);
      await expect(limited.registry.removeEntries([{ sub: 'locked-1', entries }], now)).rejects.toMatchObject(
        {
          code: 'ERR_REDIS_FORBIDDEN',
        },
      );
      await Promise.all([all.close(), limited.close()]);
    });

    test.each(['SIGSTOP', 'SIGKILL'] as const)(
      'waits once for a master that is gone (%s), and removes from the others',
      async (signal) => {
        const cluster = await startRedisCluster({ replicasPerMaster: 0, nodeTimeoutMs: 60_000 });
        const nodes = cluster.nodes.map(({ node }) => node);
        const timeoutMs = 2000;
        const opened = openRegistry(nodes, { timeoutMs });
        const subs = crowd(500);
        const entries = [entryAt(now, 'a')];
        await opened.registry.registerMany(subs.map((sub) => ({ sub, entry: entryAt(now, 'a'), now })));
        const [, gone] = cluster.nodes;
        const { subjects } = await scanAll(opened.registry);
        const stays = subjects.filter(({ node }) => node === gone?.node).length;
        process.kill(gone?.pid ?? 0, signal);

        const begun = performance.now();
        const outcome = await opened.registry.removeEntries(
          subs.map((sub) => ({ sub, entries })),
          now,
        );

        expect(performance.now() - begun).toBeLessThan(2 * timeoutMs);
        expect(stays).toBeGreaterThan(100);
        expect(outcome).toMatchObject({ removed: 500 - stays, failure: { kind: 'unavailable' } });
        await opened.close();
        await cluster.stop();
      },
    );
  });
});
