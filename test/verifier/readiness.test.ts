import { afterEach, describe, expect, test } from 'vitest';
import type { Context } from '../../src/app/context.js';
import type { JwtctlError } from '../../src/domain/shared/errors.js';
import type { LiveVerifier } from '../../src/verifier/live-verifier.js';
import { openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import type { StateChange } from '../../src/verifier/state-watch.js';
import { redisCli } from '../adapters/redis/registry-under-test.js';
import { ManualClock } from '../support/clock.js';
import { openContext } from '../support/opened-context.js';
import { startRedis, startRedisCluster } from '../support/servers.js';
import { openStores, type Stores } from '../support/stores.js';

let closers: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
});

let stores: Stores;
let clock: ManualClock;
let verifier: LiveVerifier;
let changes: StateChange[];

async function openWith(env: Record<string, string>): Promise<void> {
  stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TIMEOUT: '1s', ...env });
  closers.push(stores.close);
  await stores.json('keys', 'generate');
}

async function openVerifier(nearCache: boolean, env: Record<string, string> = {}): Promise<void> {
  clock = new ManualClock(stores.clock.now());
  const context: Context = { ...(await openContext({ ...stores, env: { ...stores.env, ...env } })), clock };
  closers.push(() => context.dispose());
  changes = [];
  verifier = await openLiveVerifier(context, {
    nearCache,
    warn: () => {},
    onStateChange: (change) => changes.push(change),
  });
  closers.push(() => verifier.close());
}

/** Moves the clock second by second, as a verifier experiences it. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await clock.awaited();
    stores.clock.advance(1);
    clock.advance(1);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function issue(sub: string): Promise<string> {
  return (await stores.json('token', 'issue', '--sub', sub, '--create-user')).token;
}

async function verdict(token: string): Promise<string> {
  try {
    const result = await verifier.verify(token);
    return result.active ? 'active' : result.error.code;
  } catch (error) {
    return (error as JwtctlError).code;
  }
}

async function stopped(node: string): Promise<{ resume(): void }> {
  const pid = Number(/process_id:(\d+)/.exec(await redisCli(node, 'INFO', 'server'))?.[1]);
  process.kill(pid, 'SIGSTOP');
  const resume = () => process.kill(pid, 'SIGCONT');
  closers.push(resume);
  return { resume };
}

describe.each([{ nearCache: false }, { nearCache: true }])('a verifier, %o', ({ nearCache }) => {
  test('stays ready without requests while Redis refuses writes and answers reads', async () => {
    const server = await startRedis();
    closers.push(server.stop);
    const { node } = server;
    await openWith({ JWTCTL_REDIS_NODES: node, JWTCTL_REDIS_MODE: 'standalone' });
    const token = await issue('alice');
    await redisCli(node, 'ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '+@all', '-hset');
    await openVerifier(nearCache, { JWTCTL_REDIS_USERNAME: 'reader', JWTCTL_REDIS_PASSWORD: 'secret' });
    await pass(30);

    expect(verifier.health()).toMatchObject({
      isReady: true,
      registry: { state: 'up', code: null },
      heartbeats: { state: 'degraded' },
      masters: [{ node, code: null }],
    });
    expect(await verdict(token)).toBe('active');
  });

  test('stays ready and keeps reporting while the memory of Redis is full', async () => {
    const server = await startRedis();
    closers.push(server.stop);
    const { node } = server;
    await openWith({ JWTCTL_REDIS_NODES: node, JWTCTL_REDIS_MODE: 'standalone' });
    const token = await issue('alice');
    await redisCli(node, 'CONFIG', 'SET', 'maxmemory', 1);
    await openVerifier(nearCache);
    await pass(30);

    expect(verifier.health()).toMatchObject({
      isReady: true,
      registry: { state: 'up', code: null },
      heartbeats: { state: 'up' },
      masters: [{ node, code: null, warnings: ['memory_full'] }],
    });
    expect(await verdict(token)).toBe('active');
    expect(await stores.json('keys', 'list')).toMatchObject([{ verifiers: 1 }]);
  });
});

test('a verifier warns once when the tracking table of Redis is full, and once when it no longer is', async () => {
  const server = await startRedis();
  closers.push(server.stop);
  const { node } = server;
  await openWith({ JWTCTL_REDIS_NODES: node, JWTCTL_REDIS_MODE: 'standalone' });
  const tokens: string[] = [];
  for (const sub of ['alice', 'bob', 'carol', 'dave']) tokens.push(await issue(sub));
  await redisCli(node, 'CONFIG', 'SET', 'tracking-table-max-keys', 2);
  await openVerifier(true);
  const warningsAfterReads = async () => {
    for (const token of tokens) expect(await verdict(token)).toBe('active');
    await pass(1);
    return verifier.health().masters[0]?.warnings;
  };
  await expect.poll(warningsAfterReads, { timeout: 15_000 }).toEqual(['tracking_table_full']);
  await redisCli(node, 'CONFIG', 'SET', 'tracking-table-max-keys', 1000);
  await expect.poll(warningsAfterReads, { timeout: 15_000 }).toEqual([]);
  await pass(1);

  const fields = { store: 'registry', node, warning: 'tracking_table_full' };
  expect(changes).toMatchObject([
    { level: 'warn', fields: { ...fields, isSet: true } },
    { level: 'info', fields: { ...fields, isSet: false } },
  ]);
  expect(changes[0]?.text).toContain('tracking-table-max-keys');
}, 60_000);

describe('a verifier over a Redis Cluster', () => {
  let nodes: string[];

  async function openCluster(): Promise<void> {
    const cluster = await startRedisCluster({ nodeTimeoutMs: 60_000 });
    closers.push(cluster.stop);
    nodes = cluster.nodes.map(({ node }) => node).slice(0, 3);
    await openWith({ JWTCTL_REDIS_NODES: nodes.join(',') });
    await openVerifier(false);
  }

  const stateOf = (node: string) => verifier.health().masters.find((master) => master.node === node)?.code;

  test('is ready while some master answers, names the one that does not, and logs each change once', async () => {
    await openCluster();
    expect(
      verifier
        .health()
        .masters.map(({ node }) => node)
        .sort(),
    ).toEqual([...nodes].sort());
    for (const hung of nodes) {
      changes.length = 0;
      const { resume } = await stopped(hung);
      const looked = async () => {
        await pass(1);
        return stateOf(hung);
      };
      await expect.poll(looked, { timeout: 10_000, interval: 20 }).toMatch(/^ERR_REDIS_/);
      expect(verifier.health()).toMatchObject({ isReady: true, registry: { state: 'degraded' } });
      for (const other of nodes) if (other !== hung) expect(stateOf(other)).toBeNull();
      await pass(20);
      expect(verifier.health()).toMatchObject({ isReady: true, registry: { state: 'degraded' } });
      expect(changes).toMatchObject([{ level: 'error', fields: { node: hung, state: 'down' } }]);

      resume();
      await expect.poll(looked, { timeout: 10_000, interval: 50 }).toBeNull();
      await pass(1);
      expect(verifier.health()).toMatchObject({ isReady: true, registry: { state: 'up', code: null } });
      expect(changes.slice(1)).toMatchObject([{ level: 'info', fields: { node: hung, state: 'up' } }]);
    }
  }, 60_000);

  test('is not ready while no master answers, and ready again by itself', async () => {
    await openCluster();
    const token = await issue('alice');
    const hung = await Promise.all(nodes.map(stopped));
    const looked = async () => {
      await pass(1);
      return verifier.health().isReady;
    };
    await expect.poll(looked, { timeout: 15_000, interval: 20 }).toBe(false);
    expect(verifier.health().registry.state).toBe('down');
    await pass(5);
    expect(await verdict(token)).toMatch(/^ERR_REDIS_/);
    expect(changes.filter(({ fields }) => 'isReady' in fields)).toMatchObject([
      { level: 'error', fields: { isReady: false, registry: 'down' } },
    ]);

    for (const { resume } of hung) resume();
    await expect.poll(looked, { timeout: 15_000, interval: 50 }).toBe(true);
    await pass(1);
    expect(changes.filter(({ fields }) => 'isReady' in fields).slice(1)).toMatchObject([
      { level: 'info', fields: { isReady: true } },
    ]);
    expect(await verdict(token)).toBe('active');
  }, 60_000);
});
