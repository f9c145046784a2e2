// @ts-check
/**
 * How long the masters keep a client waiting while `cache inspect` and `cache flush` are at work, against the same client
 * with the masters to itself: the worst master's 99.9th percentile. See support/ping-client.mjs for the client.
 *
 * A server that is no part of the cluster is pinged along: what it shows is the cores being busy, not Redis. Where the
 * client waits for twice the target while nothing of ours runs, other programs hold the cores and nothing can be told.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { assertRemoved, assertSeen } from './support/counts.mjs';
import { productLayout } from './support/layouts.mjs';
import { openPings } from './support/pings.mjs';
import { printed } from './support/product.mjs';
import { median } from './support/statistics.mjs';

const IDLE_MS = 5000;
const TARGET_MS = 5;
const TOO_BUSY_MS = 2 * TARGET_MS;

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const pause = {
  name: 'pause',
  summary:
    'the 99.9th percentile of a client that pings all the while, during inspect and flush and without them',
  sizes: { rounds: 3, tokens: 1_000_000, subjects: 200_000 },

  async run({ stores, sizes, say }) {
    const { product, cluster } = await stores.product();
    const bystander = await stores.bystander();
    const [key] = product.keys;
    const pings = await openPings([...cluster.masters, bystander].map(({ host, port }) => `${host}:${port}`));

    const phases = {
      idle: series('nothing else'),
      inspect: series('cache inspect'),
      flush: series('cache flush'),
    };
    for (let round = 1; round <= sizes.rounds; round++) {
      const now = Math.floor(Date.now() / 1000);
      const tally = await cluster.fill({ ...sizes, keys: [key], now }, productLayout);
      await cluster.usedMemory();
      note(phases.idle, await pings.during(() => delay(IDLE_MS)));
      note(
        phases.inspect,
        await pings.during(async () => {
          assertSeen(printed(await product.run(['cache', 'inspect', '--json'])), tally, [key]);
        }),
      );
      note(
        phases.flush,
        await pings.during(async () => {
          const args = ['cache', 'flush', '--kid', key.kid, '--yes', '--json'];
          assertRemoved(printed(await product.run(args)), tally.entries);
        }),
      );
      const lasts = Object.values(phases).map(({ masters }) => milliseconds(masters.at(-1) ?? 0));
      say(`round ${round}: ${lasts.join(', ')}`);
    }
    pings.close();

    return {
      series: Object.values(phases).map(({ name, masters }) => ({
        name,
        samples: masters,
        format: milliseconds,
      })),
      verdicts: [phases.inspect, phases.flush].map(({ name, masters }) => {
        const idle = median(phases.idle.masters);
        const more = median(masters) - idle;
        return {
          name: `${name}, more`,
          value: milliseconds(more),
          target: `under ${TARGET_MS} ms`,
          isReached: idle < TOO_BUSY_MS ? more < TARGET_MS : null,
        };
      }),
      remarks: Object.values(phases).map(
        ({ name, longest, bystander, collections }) =>
          `${name}: longest ${milliseconds(Math.max(...longest))}; the bystander ${milliseconds(median(bystander))}; ` +
          `the client's own longest garbage collection ${milliseconds(Math.max(...collections))}`,
      ),
    };
  },
};

/** @param {string} name */
function series(name) {
  /** @type {{ name: string, masters: number[], longest: number[], bystander: number[], collections: number[] }} */
  const made = { name, masters: [], longest: [], bystander: [], collections: [] };
  return made;
}

/**
 * @param {ReturnType<typeof series>} phase
 * @param {import('./support/ping-client.mjs').Pauses} pauses
 */
function note(phase, { servers, longestCollectionMs }) {
  const masters = servers.slice(0, -1);
  phase.masters.push(Math.max(...masters.map(({ p999Ms }) => p999Ms)));
  phase.longest.push(Math.max(...masters.map(({ maxMs }) => maxMs)));
  phase.bystander.push(servers.at(-1)?.p999Ms ?? 0);
  phase.collections.push(longestCollectionMs);
}

/** @param {number} value */
function milliseconds(value) {
  return `${value.toFixed(2)} ms`;
}
