// @ts-check
/**
 * What a live token costs in Redis: the memory that the masters use with the tokens less what they use without, in the
 * product's layout (a sorted set per subject) and as most people do it (`SET <token> 1 EXAT <exp>`: a key per token, the
 * token its name). Both hold the same tokens with the same expiry. Replicas hold the same again, in both.
 */
import { productLayout, rawTokenLayout } from './support/layouts.mjs';
import { ratioAtMost } from './support/report.mjs';

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const bytes = {
  name: 'bytes',
  summary: "Redis's memory for a live token, against the raw token under its own key",
  sizes: { rounds: 1, tokens: 1_000_000, subjects: 200_000 },

  async run({ stores, sizes }) {
    const [{ product, cluster }, peer] = [await stores.product(), await stores.peer()];

    /**
     * @param {import('./support/cluster.mjs').Cluster} filled
     * @param {import('./support/layouts.mjs').Layout} layout
     */
    const measure = async (filled, layout) => {
      await filled.wipe();
      const before = await filled.usedMemory();
      const now = Math.floor(Date.now() / 1000);
      const { entries } = await filled.fill({ ...sizes, keys: product.keys, now }, layout);
      return ((await filled.usedMemory()) - before) / entries;
    };
    /** @type {number[]} */
    const own = [];
    /** @type {number[]} */
    const others = [];
    for (let round = 1; round <= sizes.rounds; round++) {
      own.push(await measure(cluster, productLayout));
      others.push(await measure(peer, rawTokenLayout(product.keys)));
    }
    const series = /** @type {const} */ ([
      { name: 'sorted set per subject', samples: own, format: inBytes },
      { name: 'SET <token> 1 EXAT <exp>', samples: others, format: inBytes },
    ]);
    return { series: [...series], verdicts: [ratioAtMost(series, 0.25)] };
  },
};

/** @param {number} value */
function inBytes(value) {
  return `${value.toFixed(1)} bytes`;
}
