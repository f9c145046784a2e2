import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RedisTokenRegistry } from '../../../src/adapters/redis/token-registry.js';
import type { GlobalRemoval, ScannedSubject, ScanOutcome } from '../../../src/domain/ports/index.js';
import { startRedisCluster } from '../../support/servers.js';
import {
  crowd,
  entryAt,
  openRegistry,
  parseNode,
  realNow,
  redisCli,
  surveyAll,
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
        registry.register(sub, entryAt(now, 'a'), { now }),
        registry.register(sub, entryAt(now, 'b', { keyId: 2 }), { now, label: 'phone' }),
      ]),
    );
  }
}
afterEach(async () => {
  await close();
  await cluster.stop();
});

/** Surveys, and acts when the first portion is in hand. */
async function surveyWhile(
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

/** Nothing twice, and whatever is called complete is so. */
function expectHonest({ outcome, seen }: Awaited<ReturnType<typeof surveyWhile>>): void {
  expect(new Set(seen).size).toBe(seen.length);
  expect(outcome.complete).toBe(outcome.missed.length === 0);
  if (outcome.complete) expect(seen.sort()).toEqual([...SUBJECTS].sort());
  else expect(seen.length).toBeLessThan(SUBJECTS.length);
}

/** Removes everything, and acts once a part of it is gone. */
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

  test('in the middle of a survey is replaced by its replica, and everything is shown once', async () => {
    const masters = nodes.slice(0, 3);
    // What was acknowledged may be lost with its master; here it has arrived.
    await Promise.all(masters.map((node) => redisCli(node, 'WAIT', 1, 1000)));
    const scan = await surveyWhile(([subject]) => kill(subject?.node));
    expectHonest(scan);
    expect(scan.outcome).toMatchObject({ complete: true, missed: [] });
  });

  test('in the middle of a removal leaves numbers that are right, or are not called complete', async () => {
    await Promise.all(nodes.slice(0, 3).map((node) => redisCli(node, 'WAIT', 1, 1000)));
    const removal = await removeWhile(() => kill(nodes[1]));
    expect(removal.complete).toBe(removal.missed.length === 0);
    expect(removal.matched).toBe(removal.removed);
    if (removal.complete) expect(removal.removed).toBe(TOKENS);
    else expect(removal.removed).toBeLessThanOrEqual(TOKENS);
    expect(removal.byNode.reduce((sum, { removed }) => sum + removed, 0)).toBe(removal.removed);

    // Run again, it finishes.
    const { entries } = (await surveyAll(registry)).subjects.reduce(
      (sum, subject) => ({ entries: sum.entries + subject.entries.length }),
      { entries: 0 },
    );
    const again = await registry.removeEverywhere({}, { now });
    expect(again).toMatchObject({ removed: entries, complete: true });
    expect((await surveyAll(registry)).subjects).toEqual([]);
  });
});

describe('slots that move to another master', () => {
  beforeEach(() => begin({ replicasPerMaster: 0 }));

  /** As operators do it. */
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

  test('between two portions of a survey are shown once', async () => {
    const scan = await surveyWhile(([subject]) => reshard(subject?.node ?? '', 300));
    expectHonest(scan);
    expect(scan.outcome).toMatchObject({ complete: true, missed: [] });
  });

  test('while a survey goes on are shown once, or are named', async () => {
    let moving = Promise.resolve();
    const scan = await surveyWhile(([subject]) => {
      moving = reshard(subject?.node ?? '', 300);
    });
    expectHonest(scan);
    await moving;
    expectHonest(await surveyWhile(() => {}));
  });

  test('while a removal goes on leave numbers that are right, or are not called complete', async () => {
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
