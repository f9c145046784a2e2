// @ts-check
/**
 * How long `cache flush --kid` takes that removes everything, against the usual way to be rid of keys.
 *
 * The peer lists the names at each master with `redis-cli --scan`, turns each into an UNLINK and pipes them into
 * `redis-cli --pipe` at the same master, the three masters side by side. It does not ask which key signed a token, and it
 * counts nothing before. The product does: it looks at each entry, first counts what would go, and then removes it. Both
 * have a cluster of the same kind with as many tokens, filled anew before each round; that is not measured.
 */
import { assertRemoved } from './support/counts.mjs';
import { productLayout, rawTokenLayout } from './support/layouts.mjs';
import { printed } from './support/product.mjs';
import { atEachMaster } from './support/redis-cli.mjs';
import { count, ratioAtMost, seconds } from './support/report.mjs';
import { sum } from './support/statistics.mjs';

/** In the protocol's own form; as inline commands, which are shorter to write, it takes the servers a third longer. */
const AS_UNLINK = String.raw`{ printf "*2\r\n$6\r\nUNLINK\r\n$%d\r\n%s\r\n", length($0), $0 }`;
const UNLINK_ALL = `$CLI --scan | awk '${AS_UNLINK}' | $CLI --pipe`;

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const flush = {
  name: 'flush',
  summary: '`cache flush --kid` of everything, against the listing piped as UNLINKs into `redis-cli --pipe`',
  sizes: { rounds: 5, tokens: 1_000_000, subjects: 200_000 },

  async run({ stores, sizes, say }) {
    const [{ product, cluster }, peer] = [await stores.product(), await stores.peer()];
    // One key has signed all of it.
    const [key] = product.keys;
    const set = () => ({ ...sizes, keys: [key], now: Math.floor(Date.now() / 1000) });

    /** @type {number[]} */
    const own = [];
    /** @type {number[]} */
    const others = [];
    for (let round = 1; round <= sizes.rounds; round++) {
      const { entries } = await cluster.fill(set(), productLayout);
      await cluster.usedMemory();
      const flushed = await product.run(['cache', 'flush', '--kid', key.kid, '--yes', '--json']);
      assertRemoved(printed(flushed), entries);
      await assertEmpty(cluster);
      own.push(flushed.seconds);

      await peer.fill(set(), rawTokenLayout([key]));
      await peer.usedMemory();
      const unlinked = await atEachMaster(peer, UNLINK_ALL, 'collect');
      assertUnlinked(unlinked.stdout, entries);
      await assertEmpty(peer);
      others.push(unlinked.seconds);
      say(`round ${round}: ${seconds(flushed.seconds)}, peer ${seconds(unlinked.seconds)}`);
    }
    const series = /** @type {const} */ ([
      { name: 'jwtctl cache flush --kid', samples: own, format: seconds },
      { name: 'redis-cli --scan | --pipe', samples: others, format: seconds },
    ]);
    return { series: [...series], verdicts: [ratioAtMost(series, 0.8)] };
  },
};

/**
 * SCAN names some keys twice, as the tables shrink under it; so there may be more answers than keys.
 *
 * @param {readonly string[]} outputs of `redis-cli --pipe`
 * @param {number} entries
 */
function assertUnlinked(outputs, entries) {
  const results = outputs.map((output) => /^errors: (\d+), replies: (\d+)$/m.exec(output));
  const isRight =
    results.every((result) => result?.[1] === '0') &&
    sum(results.map((result) => Number(result?.[2]))) >= entries;
  if (!isRight)
    throw new Error(`The peer did not unlink the ${count(entries)} keys: ${outputs.join('').trim()}`);
}

/** @param {import('./support/cluster.mjs').Cluster} cluster */
async function assertEmpty(cluster) {
  const left = await cluster.countKeys();
  if (left !== 0) throw new Error(`${count(left)} keys are left.`);
}
