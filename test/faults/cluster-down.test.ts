import { afterEach, describe, expect, test } from 'vitest';
import { openRegistry, redisCli, scanAll } from '../adapters/redis/registry-under-test.js';
import { startRedisCluster } from '../support/servers.js';
import { openStores, type Stores } from '../support/stores.js';

const TIMEOUT_MS = 2000;
/** One timeout each for opening, for hung masters, and for waiting reads, plus time for a busy machine. */
const LONGEST_MS = 3 * TIMEOUT_MS + 1500;

let closers: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
});

async function open(nodeTimeoutMs: number): Promise<{ stores: Stores; kid: string; nodes: string[] }> {
  const cluster = await startRedisCluster({ nodeTimeoutMs });
  closers.push(cluster.stop);
  const nodes = cluster.nodes.map(({ node }) => node);
  const stores = await openStores('MariaDB and a Redis Cluster', {
    JWTCTL_REDIS_NODES: nodes.join(','),
    JWTCTL_TIMEOUT: `${TIMEOUT_MS / 1000}s`,
  });
  closers.push(stores.close);
  const { kid } = await stores.json('keys', 'generate');
  const subs = Array.from({ length: 60 }, (_, index) => `user-${index}`).join('\n');
  await stores.run('users', 'import', { stdin: `sub\n${subs}\n` }, '-');
  await stores.run('token', 'issue', '--sub-file', '-', { stdin: subs });
  return { stores, kid, nodes };
}

async function pidOf(node: string): Promise<number> {
  return Number(/process_id:(\d+)/.exec(await redisCli(node, 'INFO', 'server'))?.[1]);
}

/** Stops each master with its replica, so that no replica takes over. */
function pairs(nodes: readonly string[], masters: readonly number[]): string[] {
  return masters.flatMap((master) => [nodes[master] as string, nodes[master + 3] as string]);
}

async function sendAll(signal: 'SIGSTOP' | 'SIGKILL', nodes: readonly string[]): Promise<void> {
  const pids = await Promise.all(nodes.map(pidOf));
  for (const pid of pids) process.kill(pid, signal);
  if (signal === 'SIGKILL') return;
  closers.push(() => {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  });
}

async function timed<T>(work: Promise<T>): Promise<{ outcome: T; elapsedMs: number }> {
  const began = performance.now();
  const outcome = await work;
  return { outcome, elapsedMs: performance.now() - began };
}

describe.each([
  { what: 'all hang', masters: [0, 1, 2], signal: 'SIGSTOP' },
  { what: 'two of three hang', masters: [0, 1], signal: 'SIGSTOP' },
  { what: 'two of three are killed', masters: [0, 1], signal: 'SIGKILL' },
] as const)('a cluster in which $what', ({ masters, signal }) => {
  test('fails after one timeout', async () => {
    const { stores, kid, nodes } = await open(1000);
    const gone = pairs(nodes, masters);
    await sendAll(signal, gone);
    const left = nodes.filter((node) => !gone.includes(node));
    for (const node of left) {
      const state = () => redisCli(node, 'CLUSTER', 'INFO');
      await expect.poll(state, { timeout: 15_000 }).toContain('cluster_state:fail');
    }

    const inspected = await timed(stores.run('cache', 'inspect', '--json'));
    expect([4, 5]).toContain(inspected.outcome.exitCode);
    expect.soft(inspected.elapsedMs).toBeLessThan(LONGEST_MS);

    const compromised = await timed(
      stores.run('keys', 'compromise', kid, '--reason', 'leaked', '--json', '--yes'),
    );
    expect(compromised.outcome.exitCode).toBe(5);
    expect(compromised.outcome.json().complete).toBe(false);
    // This also generates key pairs and walks the registry a second time.
    expect.soft(compromised.elapsedMs).toBeLessThan(LONGEST_MS + 3 * TIMEOUT_MS);
  }, 120_000);
});

test('reports slots without a master, regardless of the addresses that nodes report', async () => {
  const cluster = await startRedisCluster({ replicasPerMaster: 0 });
  closers.push(cluster.stop);
  const nodes = cluster.nodes.map(({ node }) => node);
  for (const node of nodes) await redisCli(node, 'CONFIG', 'SET', 'cluster-require-full-coverage', 'no');
  const { registry, close } = openRegistry(nodes, { timeoutMs: TIMEOUT_MS });
  closers.push(close);
  expect(await scanAll(registry)).toMatchObject({ missed: [] });
  for (const node of nodes) await redisCli(node, 'CLUSTER', 'DELSLOTSRANGE', 100, 110, 16000, 16000);

  expect(await scanAll(registry)).toMatchObject({
    complete: false,
    missed: ['slots 100-110, 16000 (served by no master)'],
  });
}, 60_000);

test('an inspection reports two hanging masters after two timeouts, before the cluster notices', async () => {
  const { stores, nodes } = await open(60_000);
  const hung = nodes.slice(0, 2);
  await sendAll('SIGSTOP', hung);

  const { outcome, elapsedMs } = await timed(stores.run('cache', 'inspect', '--json'));
  expect(outcome.exitCode).toBe(5);
  const { complete, missed } = outcome.json();
  expect(complete).toBe(false);
  expect(missed).toHaveLength(2);
  for (const node of hung) expect(missed.join()).toContain(`${node}: timed out`);
  expect.soft(elapsedMs).toBeLessThan(LONGEST_MS);
}, 60_000);
