import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RedisTokenRegistry } from '../../../src/adapters/redis/token-registry.js';
import type { GlobalRemoval, ScannedSubject, ScanOutcome } from '../../../src/domain/ports/index.js';
import { registerOne } from '../../support/registering.js';
import { startRedisCluster } from '../../support/servers.js';
import {
  crowd,
  entryAt,
  openRegistry,
  parseNode,
  realNow,
  redisCli,
  scanAll,
} from './registry-under-test.js';

const SUBJECTS = crowd(4000);
const TOKENS = 2 * SUBJECTS.length;

let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
let nodes: string[];
let registry: RedisTokenRegistry;
let close: () => Promise<void>;
let now: number;

async function begin(options: { replicasPerMaster: number }): Promise<void> {
  cluster = await startRedisCluster({ ...options, nodeTimeoutMs: 1000 });
  nodes = cluster.nodes.map(({ node }) => node);
  ({ registry, close } = openRegistry(nodes, { timeoutMs: 15_000 }));
  now = realNow();
  for (let from = 0; from < SUBJECTS.length; from += 1000) {
    await Promise.all(
      SUBJECTS.slice(from, from + 1000).flatMap((sub) => [
        registerOne(registry, sub, entryAt(now, 'a'), { now }),
        registerOne(registry, sub, entryAt(now, 'b', { keyId: 2 }), { now, meta: { device: 'phone' } }),
      ]),
    );
  }
}
afterEach(async () => {
  await close();
  await cluster.stop();
});

/** Scans, and calls `act` with the first portion. */
async function scanWhile(
  act: (portion: readonly ScannedSubject[]) => void | Promise<void>,
): Promise<{ outcome: ScanOutcome; seen: string[] }> {
  const seen: string[] = [];
  const outcome = await registry.scan(
    async (portion) => {
      const isFirst = seen.length === 0;
      seen.push(...portion.map(({ sub }) => sub));
      for (const { entries } of portion) expect(entries).toHaveLength(2);
      if (isFirst) await act(portion);
    },
    { now },
  );
  return { outcome, seen };
}

/** Expects no duplicates, and all subjects if the scan is complete. */
function expectConsistent({ outcome, seen }: Awaited<ReturnType<typeof scanWhile>>): void {
  expect(new Set(seen).size).toBe(seen.length);
  expect(outcome.complete).toBe(outcome.missed.length === 0);
  if (outcome.complete) expect(seen.sort()).toEqual([...SUBJECTS].sort());
  else expect(seen.length).toBeLessThan(SUBJECTS.length);
}

/** Removes everything, and calls `act` after a part of it. */
async function removeWhile(act: () => void): Promise<GlobalRemoval> {
  let hasActed = false;
  return registry.removeEverywhere(
    {},
    {
      now,
      onProgress: ({ done }) => {
        if (hasActed || done < 3000) return;
        hasActed = true;
        act();
      },
    },
  );
}

describe('a master that is killed', () => {
  beforeEach(() => begin({ replicasPerMaster: 1 }));

  const kill = (node: string | undefined): void => {
    process.kill(cluster.nodes.find((server) => server.node === node)?.pid ?? 0, 'SIGKILL');
  };

  test('during a scan is replaced by its replica, and each subject is returned once', async () => {
    const masters = nodes.slice(0, 3);
    // Wait for replication, because acknowledged writes may be lost with their master.
    await Promise.all(masters.map((node) => redisCli(node, 'WAIT', 1, 1000)));
    const scan = await scanWhile(([subject]) => kill(subject?.node));
    expectConsistent(scan);
    expect(scan.outcome).toMatchObject({ complete: true, missed: [] });
  });

  test('during a removal leaves a correct or an incomplete count', async () => {
    await Promise.all(nodes.slice(0, 3).map((node) => redisCli(node, 'WAIT', 1, 1000)));
    const removal = await removeWhile(() => kill(nodes[1]));
    expect(removal.complete).toBe(removal.missed.length === 0);
    expect(removal.matched).toBe(removal.removed);
    if (removal.complete) expect(removal.removed).toBe(TOKENS);
    else expect(removal.removed).toBeLessThanOrEqual(TOKENS);
    expect(removal.byNode.reduce((sum, { removed }) => sum + removed, 0)).toBe(removal.removed);

    // A second run finishes the removal.
    const { entries } = (await scanAll(registry)).subjects.reduce(
      (sum, subject) => ({ entries: sum.entries + subject.entries.length }),
      { entries: 0 },
    );
    const again = await registry.removeEverywhere({}, { now });
    expect(again).toMatchObject({ removed: entries, complete: true });
    expect((await scanAll(registry)).subjects).toEqual([]);
  });
});

describe('slots that move to another master', () => {
  beforeEach(() => begin({ replicasPerMaster: 0 }));

  /** Moves slots with redis-cli, as operators do. */
  async function reshard(source: string, slots: number): Promise<void> {
    const target = nodes.find((node) => node !== source) ?? '';
    const [sourceId, targetId] = await Promise.all(
      [source, target].map((node) => redisCli(node, 'CLUSTER', 'MYID')),
    );
    const { host, port } = parseNode(source);
    const flags = ['--cluster-from', sourceId, '--cluster-to', targetId, '--cluster-slots', `${slots}`];
    await promisify(execFile)('redis-cli', [
      ...['--cluster', 'reshard', `${host}:${port}`],
      ...(flags as string[]),
      '--cluster-yes',
    ]);
  }

  test('between two portions of a scan are returned once', async () => {
    const scan = await scanWhile(([subject]) => reshard(subject?.node ?? '', 300));
    expectConsistent(scan);
    expect(scan.outcome).toMatchObject({ complete: true, missed: [] });
  });

  test('during a scan are returned once, or are listed as missed', async () => {
    let moving = Promise.resolve();
    const scan = await scanWhile(([subject]) => {
      moving = reshard(subject?.node ?? '', 300);
    });
    expectConsistent(scan);
    await moving;
    expectConsistent(await scanWhile(() => {}));
  });

  test('during a removal leave a correct or an incomplete count', async () => {
    let moving = Promise.resolve();
    const removal = await removeWhile(() => {
      moving = reshard(nodes[0] ?? '', 300);
    });
    const rest = TOKENS - removal.removed;
    if (removal.complete) expect(rest).toBe(0);
    else expect(rest).toBeGreaterThan(0);
    await moving;
    expect(await registry.removeEverywhere({}, { now })).toMatchObject({ removed: rest, complete: true });
  });
});
