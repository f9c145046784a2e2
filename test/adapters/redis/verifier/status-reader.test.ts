import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LEASE_MS } from '../../../../src/adapters/redis/wire/tracked-connection.js';
import type { Lease, StatusReader, TokenRegistry } from '../../../../src/domain/ports/index.js';
import { registerOne } from '../../../support/registering.js';
import { redisNodes, startRedis, startRedisCluster } from '../../../support/servers.js';
import {
  crowd,
  entryAt,
  openRegistry,
  realNow,
  redisCli,
  redisCliFollowing,
} from '../registry-under-test.js';

let registry: TokenRegistry;
let prefix: string;
let statusReader: StatusReader;
let closers: Array<() => unknown>;
let now: number;
/** How far the host's clock was set, in seconds. */
let clockSet: number;
const hostNow = () => realNow() + clockSet;

beforeEach(() => {
  closers = [];
  clockSet = 0;
  now = realNow();
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
});

function open(nodes: readonly string[], options: Parameters<typeof openRegistry>[1] = {}): void {
  const opened = openRegistry(nodes, options);
  registry = opened.registry;
  prefix = opened.prefix;
  statusReader = registry.openStatusReader({ nearCache: true, now: hostNow });
  closers.push(opened.close, () => statusReader.close());
}

async function register(sub: string, jti = 'a'): Promise<void> {
  await registerOne(registry, sub, entryAt(now, jti), {
    now,
    user: { status: 'enabled', version: 1, until: now + 60 },
  });
}

async function leaseOf(sub: string, jti = 'a'): Promise<Lease> {
  const { exp, lease } = await statusReader.of(sub, entryAt(now, jti)).read();
  expect(exp).toBe(now + 3600);
  expect(lease?.isValid(hostNow())).toBe(true);
  return lease as Lease;
}

function isOver(lease: Lease, timeout = 2000) {
  return expect.poll(() => lease.isValid(hostNow()), { interval: 1, timeout }).toBe(false);
}

describe('leases', () => {
  beforeEach(() => open(redisNodes()));

  test('end with any change to their subject, and others stay', async () => {
    const changes: Array<[string, () => Promise<unknown>]> = [
      ['removal', () => registry.remove('alice', { jti: 'a' }, now)],
      ['another token', () => registerOne(registry, 'alice', entryAt(now, 'b'), { now })],
      [
        'the status',
        () => registry.setUserStatus('alice', { status: 'disabled', version: 2, until: now + 60 }, now),
      ],
      ['a flush', () => registry.removeEverywhere({ jti: 'a' }, { now })],
      ['another client', () => redisCliFollowing(redisNodes()[0] ?? '', 'DEL', `${prefix}:{alice}`)],
    ];
    for (const [what, change] of changes) {
      await registry.remove('alice', {}, now);
      await Promise.all([register('alice'), register('bob')]);
      const lease = await leaseOf('alice');
      const other = await leaseOf('bob');
      await change();
      await isOver(lease);
      if (what !== 'a flush') expect(other.isValid(hostNow()), what).toBe(true);
    }
  });

  test('are shared by all tokens of a subject and renewed by the next read', async () => {
    await register('alice', 'a');
    await register('alice', 'b');
    const [first, second] = [await leaseOf('alice', 'a'), await leaseOf('alice', 'b')];
    expect(second).toBe(first);
    await registry.remove('alice', { jti: 'b' }, now);
    await isOver(first);
    const again = await leaseOf('alice', 'a');
    expect([again.isValid(hostNow()), first.isValid(hostNow())]).toEqual([true, false]);
  });

  test('are not given for a missing token', async () => {
    await register('alice');
    expect((await statusReader.of('alice', entryAt(now, 'x')).read()).lease).toBeNull();
    expect((await statusReader.of('zoe', entryAt(now, 'a')).read()).lease).toBeNull();
  });

  test('stay valid without requests, because of the heartbeat', async () => {
    await register('alice');
    const lease = await leaseOf('alice');
    const until = performance.now() + 2 * LEASE_MS;
    while (performance.now() < until) {
      expect(lease.isValid(hostNow())).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  test('never outlive a change that was read before', async () => {
    await register('alice');
    const query = statusReader.of('alice', entryAt(now, 'a'));
    for (let version = 2; version < 400; version++) {
      const reads = Array.from({ length: 4 }, () => query.read());
      const change = registry.setUserStatus('alice', { status: 'enabled', version, until: now + 60 }, now);
      const statuses = await Promise.all(reads);
      await change;
      const outdated = statuses.filter(({ user }) => (user?.version ?? 0) < version);
      for (const { lease } of outdated) if (lease !== null) await isOver(lease);
      expect((await query.read()).user?.version).toBe(version);
    }
  });
});

test('a lost connection ends its leases, and the next read opens another one', async () => {
  const cluster = await startRedisCluster({ nodeTimeoutMs: 5000 });
  closers.push(cluster.stop);
  open(cluster.nodes.map(({ node }) => node));
  const subs = crowd(30);
  for (const sub of subs) await register(sub);
  const leases = await Promise.all(subs.map((sub) => leaseOf(sub)));
  const { epoch } = await statusReader.of('user-0', entryAt(now, 'a')).read();
  for (const { node } of cluster.nodes) await redisCli(node, 'CLIENT', 'KILL', 'TYPE', 'normal');
  for (const lease of leases) await isOver(lease);
  const again = await statusReader.of('user-0', entryAt(now, 'a')).read();
  expect(again.exp).toBe(now + 3600);
  expect(again.epoch).toBeGreaterThan(epoch);
  await leaseOf('user-0');

  const flushed = await leaseOf('user-0');
  for (const { node } of cluster.nodes) await redisCli(node, 'FLUSHALL').catch(() => {});
  await isOver(flushed);
});

test.each([3600, 3, -3600])(
  'after a suspension or a clock change, leases are invalid until the server answers (%i s)',
  async (seconds) => {
    open(redisNodes());
    await register('alice');
    const lease = await leaseOf('alice');
    clockSet = seconds;
    expect(lease.isValid(hostNow())).toBe(false);
    // Invalidations were sent before that reply.
    await expect.poll(() => lease.isValid(hostNow()), { interval: 5, timeout: 2000 }).toBe(true);
  },
);

test('closes the connection to a master without slots', async () => {
  const cluster = await startRedisCluster({ nodeTimeoutMs: 1500 });
  closers.push(cluster.stop);
  const nodes = cluster.nodes.map(({ node }) => node);
  open(nodes);
  const subs = crowd(12);
  for (const sub of subs) await register(sub);
  for (const sub of subs) await leaseOf(sub);
  const replica = (await registry.nodes()).find(({ role }) => role === 'replica');
  const tracked = async () =>
    (await redisCli(String(replica?.master), 'CLIENT', 'LIST')).match(/ flags=\S*t/g)?.length ?? 0;
  expect(await tracked()).toBe(1);
  await redisCli(String(replica?.node), 'CLUSTER', 'FAILOVER');
  const readAll = async () => {
    for (const sub of subs)
      await statusReader
        .of(sub, entryAt(now, 'a'))
        .read()
        .catch(() => {});
    return tracked();
  };
  await expect.poll(readAll, { interval: 50, timeout: 15_000 }).toBe(0);
  for (const sub of subs) expect((await statusReader.of(sub, entryAt(now, 'a')).read()).exp).toBe(now + 3600);
}, 40_000);

test('leases of a hung master end before its replica takes over, and the epoch changes', async () => {
  const cluster = await startRedisCluster({ nodeTimeoutMs: 1500 });
  closers.push(cluster.stop);
  const nodes = cluster.nodes.map(({ node }) => node);
  open(nodes, { timeoutMs: 3000 });
  const subs = crowd(12);
  for (const sub of subs) await register(sub);
  const leases = await Promise.all(subs.map((sub) => leaseOf(sub)));
  const epoch = (await statusReader.of('user-0', entryAt(now, 'a')).read()).epoch;
  const before = await registry.nodes();
  const master = before.find(({ role }) => role === 'master')?.node ?? '';
  await redisCli(master, 'WAIT', 1, 1000);
  const pid = Number(/process_id:(\d+)/.exec(await redisCli(master, 'INFO', 'server'))?.[1]);
  const hangingSince = performance.now();
  process.kill(pid, 'SIGSTOP');
  closers.push(() => process.kill(pid, 'SIGCONT'));

  await expect
    .poll(() => leases.some((lease) => !lease.isValid(hostNow())), { interval: 1, timeout: 5000 })
    .toBe(true);
  // No status is used for longer than the lease.
  expect(performance.now() - hangingSince).toBeLessThan(LEASE_MS + 100);
  expect(leases.some((lease) => lease.isValid(hostNow()))).toBe(true);

  const tokenStatus = async (sub: string) => (await statusReader.of(sub, entryAt(now, 'a')).read()).exp;
  for (const sub of subs) {
    await expect
      .poll(() => tokenStatus(sub).catch(({ kind }) => kind), { interval: 50, timeout: 20_000 })
      .toBe(now + 3600);
  }
  expect((await statusReader.of('user-0', entryAt(now, 'a')).read()).epoch).toBeGreaterThan(epoch);
}, 40_000);

test('an unreachable cluster costs one timeout, then reads fail at once until it is back', async () => {
  const cluster = await startRedisCluster({ nodeTimeoutMs: 1000 });
  closers.push(cluster.stop);
  open(
    cluster.nodes.map(({ node }) => node),
    { timeoutMs: 1000 },
  );
  await register('alice');
  const query = statusReader.of('alice', entryAt(now, 'a'));
  await query.read();
  const pids = await Promise.all(
    cluster.nodes.map(async ({ node }) =>
      Number(/process_id:(\d+)/.exec(await redisCli(node, 'INFO', 'server'))?.[1]),
    ),
  );
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  try {
    const began = performance.now();
    await expect(query.read()).rejects.toMatchObject({ kind: 'unavailable' });
    expect(performance.now() - began).toBeLessThan(3500);
    const many = performance.now();
    const outcomes = await Promise.allSettled(Array.from({ length: 10_000 }, () => query.read()));
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    expect(performance.now() - many).toBeLessThan(900);
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
  await expect
    .poll(
      () =>
        query.read().then(
          ({ exp }) => exp,
          ({ kind }) => kind,
        ),
      { interval: 50, timeout: 20_000 },
    )
    .toBe(now + 3600);
}, 40_000);

test('reads from a single server fail while it is away and work once it is back', async () => {
  const server = await startRedis({});
  closers.push(server.stop);
  open([server.node], { mode: 'standalone', timeoutMs: 500 });
  await register('alice');
  const query = statusReader.of('alice', entryAt(now, 'a'));
  const pid = Number(/process_id:(\d+)/.exec(await redisCli(server.node, 'INFO', 'server'))?.[1]);
  const lease = await leaseOf('alice');
  process.kill(pid, 'SIGSTOP');
  await expect(query.read()).rejects.toMatchObject({ kind: 'unavailable' });
  await expect(query.read()).rejects.toMatchObject({ kind: 'unavailable' });
  await isOver(lease);
  process.kill(pid, 'SIGCONT');
  const again = () =>
    query.read().then(
      ({ exp }) => exp,
      ({ kind }) => kind,
    );
  await expect.poll(again, { interval: 50, timeout: 10_000 }).toBe(now + 3600);
  await server.stop();
  await expect(query.read()).rejects.toMatchObject({ kind: 'unavailable' });
  for (let round = 0; round < 20; round++) await query.read().catch(() => {});
});

test('a server without client tracking is asked each time', async () => {
  const server = await startRedis({});
  closers.push(server.stop);
  await redisCli(server.node, 'ACL', 'SETUSER', 'plain', 'on', '>secret', '~*', '+@all', '-client|tracking');
  open([server.node], { mode: 'standalone', username: 'plain', password: 'secret' });
  await register('alice');
  const query = statusReader.of('alice', entryAt(now, 'a'));
  for (let round = 0; round < 3; round++) {
    expect(await query.read()).toMatchObject({ exp: now + 3600, lease: null });
  }
});

test('answers very many reads of one turn', async () => {
  open(redisNodes());
  await register('alice');
  const query = statusReader.of('alice', entryAt(now, 'a'));
  const answers = await Promise.all(Array.from({ length: 25_000 }, () => query.read()));
  expect(new Set(answers.map(({ exp }) => exp))).toEqual(new Set([now + 3600]));
});

test('a key of another type has no status', async () => {
  open(redisNodes());
  await redisCliFollowing(redisNodes()[0] ?? '', 'SET', `${prefix}:{alice}`, 'theirs');
  closers.push(() => redisCliFollowing(redisNodes()[0] ?? '', 'DEL', `${prefix}:{alice}`));
  expect(await statusReader.of('alice', entryAt(now, 'a')).read()).toMatchObject({ exp: null, lease: null });
});
