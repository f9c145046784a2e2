// @ts-check
/**
 * How long a full `cache inspect` takes, against the least that an operator can do with keys named by tokens: list them.
 *
 * The peer is `redis-cli --scan` at the three masters side by side, in C, and it only lists names: it decides nothing,
 * counts nothing and looks into no value. It has a cluster of its own, of the same kind, with as many tokens. Both are
 * whole programs, from start to end, and both find their data as the fill left it.
 */
import { assertSeen } from './support/counts.mjs';
import { productLayout, rawTokenLayout } from './support/layouts.mjs';
import { printed } from './support/product.mjs';
import { atEachMaster } from './support/redis-cli.mjs';
import { count, ratioAtMost, seconds } from './support/report.mjs';
import { sum } from './support/statistics.mjs';

const LIST = '$CLI --scan';

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const inspect = {
  name: 'inspect',
  summary: 'full `cache inspect`, against `redis-cli --scan` over keys named by tokens',
  sizes: { rounds: 5, tokens: 1_000_000, subjects: 200_000 },

  async run({ stores, sizes, say }) {
    const [{ product, cluster }, peer] = [await stores.product(), await stores.peer()];
    const set = { ...sizes, keys: product.keys, now: Math.floor(Date.now() / 1000) };
    const tally = await cluster.fill(set, productLayout);
    await peer.fill(set, rawTokenLayout(product.keys));

    const inspectOnce = async () => {
      const run = await product.run(['cache', 'inspect', '--json']);
      assertSeen(printed(run), tally, product.keys);
      return run.seconds;
    };
    const listOnce = async () => (await atEachMaster(peer, LIST, 'ignore')).seconds;

    // The first round does not count: it warms up, and shows that the peer lists every key once.
    await inspectOnce();
    const listed = await atEachMaster(peer, `${LIST} | wc -l`, 'collect');
    assertListed(sum(listed.stdout.map(Number)), tally.entries);

    /** @type {number[]} */
    const own = [];
    /** @type {number[]} */
    const others = [];
    for (let round = 1; round <= sizes.rounds; round++) {
      own.push(await inspectOnce());
      others.push(await listOnce());
      say(`round ${round}: ${seconds(own.at(-1) ?? 0)}, peer ${seconds(others.at(-1) ?? 0)}`);
    }
    const series = /** @type {const} */ ([
      { name: 'jwtctl cache inspect', samples: own, format: seconds },
      { name: 'redis-cli --scan', samples: others, format: seconds },
    ]);
    return { series: [...series], verdicts: [ratioAtMost(series, 0.8)] };
  },
};

/**
 * @param {number} listed
 * @param {number} entries
 */
function assertListed(listed, entries) {
  if (listed !== entries) throw new Error(`The peer lists ${count(listed)} of ${count(entries)} keys.`);
}
