import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LiveVerifier } from '../../src/verifier/live-verifier.js';
import { openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { redisCli } from '../adapters/redis/registry-under-test.js';
import { ManualClock } from '../support/clock.js';
import { openContext } from '../support/opened-context.js';
import { openServerGroup, startRedis } from '../support/servers.js';
import { openStores, type Stores } from '../support/stores.js';

const MINUTE = 60;

/** A Redis that saves only when it is told to, and tokens with an idle timeout of 30 minutes. */
let stores: Stores;
let redis: Awaited<ReturnType<typeof startRedis>>;
let group: ReturnType<typeof openServerGroup>;
let clock: ManualClock;
let closers: Array<() => unknown>;

beforeEach(async () => {
  closers = [];
  group = openServerGroup();
  redis = await startRedis({}, group);
  stores = await openStores('MariaDB and a Redis Cluster', {
    JWTCTL_REDIS_NODES: redis.node,
    JWTCTL_REDIS_MODE: 'standalone',
    JWTCTL_TOKEN_IDLE_TIMEOUT: '30m',
    JWTCTL_USERS_STATUS_TTL: '1d',
    JWTCTL_VERIFIER_GRACE: '1d',
    JWTCTL_REGISTRY_MAX_PER_SUBJECT: '2',
    JWTCTL_REGISTRY_ON_LIMIT: 'refuse',
  });
  // Redis has the real time, so the past of the story is before it.
  clock = new ManualClock(stores.clock.now());
  advance(-120 * MINUTE);
  await stores.json('keys', 'generate');
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  await stores.close();
  await group.stop();
});

function advance(seconds: number): void {
  stores.clock.advance(seconds);
  clock.advance(seconds);
}

async function open(nearCache: boolean): Promise<LiveVerifier> {
  const context = { ...(await openContext(stores)), clock };
  closers.push(() => context.dispose());
  const verifier = await openLiveVerifier(context, { nearCache });
  closers.push(() => verifier.close());
  return verifier;
}

async function verdict(verifier: LiveVerifier, token: string): Promise<string> {
  const result = await verifier.verify(token);
  return result.active ? 'active' : result.error.code;
}

async function restart(): Promise<void> {
  await redis.stop();
  await group.launch({
    name: 'redis',
    program: 'redis-server',
    args: [join(group.folder, 'redis', 'redis.conf')],
  });
}

const isIdle = async (sub: string) => (await stores.json('token', 'list', '--sub', sub))[0].idle;

const issue = (sub = 'alice') =>
  stores.run('token', 'issue', '--sub', sub, '--create-user', '--ttl', '12h', '--json');

test.each([{ nearCache: false }, { nearCache: true }])(
  'a restart from an old snapshot ends no token in use, and revives none that was unused for long: %o',
  async ({ nearCache }) => {
    const before = await open(nearCache);
    const unused = JSON.parse((await issue('bob')).stdout).token;
    advance(65 * MINUTE);
    const inUse = JSON.parse((await issue()).stdout).token;
    await redisCli(redis.node, 'SAVE');
    for (const minutes of [25, 25]) {
      advance(minutes * MINUTE);
      expect(await verdict(before, inUse)).toBe('active');
      expect(await verdict(before, unused)).toBe('ERR_TOKEN_IDLE');
    }
    await before.close();
    advance(5 * MINUTE);
    await restart();

    const after = await open(nearCache);
    expect(await verdict(after, inUse)).toBe('active');
    expect(await verdict(after, unused)).toBe('ERR_TOKEN_IDLE');
    expect((await stores.run('token', 'verify', inUse)).exitCode).toBe(0);
    expect((await stores.run('token', 'verify', unused)).exitCode).toBe(1);
    expect([await isIdle('alice'), await isIdle('bob')]).toEqual([false, true]);

    const issued = [await issue(), await issue()].map(({ exitCode }) => exitCode);
    expect(issued).toEqual([0, 3]);
    expect(await verdict(after, inUse)).toBe('active');

    advance(31 * MINUTE);
    const later = await open(nearCache);
    expect(await verdict(later, inUse)).toBe('ERR_TOKEN_IDLE');
    expect((await stores.run('token', 'verify', inUse)).exitCode).toBe(1);
  },
  60_000,
);

test.each([{ nearCache: false }, { nearCache: true }])(
  'with an append-only file, a restart revives no token: %o',
  async ({ nearCache }) => {
    await redisCli(redis.node, 'CONFIG', 'SET', 'appendonly', 'yes');
    await redisCli(redis.node, 'CONFIG', 'REWRITE');
    advance(40 * MINUTE);
    const { token } = JSON.parse((await issue()).stdout);
    advance(40 * MINUTE);
    const before = await open(nearCache);
    expect(await verdict(before, token)).toBe('ERR_TOKEN_IDLE');
    await before.close();
    advance(40 * MINUTE);
    await restart();

    const after = await open(nearCache);
    expect(await verdict(after, token)).toBe('ERR_TOKEN_IDLE');
    expect((await stores.run('token', 'verify', token)).exitCode).toBe(1);
    expect([await issue(), await issue()].map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  },
  60_000,
);
