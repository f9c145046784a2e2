// @ts-check
/**
 * The most memory that `cache inspect` and `cache flush` hold (resident, the kernel's high-water mark), at the usual
 * size, at five times the size, and twice with the same subjects but ten times the tokens. There is no peer: the target is
 * a bound, and that it does not grow with the tokens.
 */
import { assertRemoved, assertSeen } from './support/counts.mjs';
import { productLayout } from './support/layouts.mjs';
import { printed } from './support/product.mjs';
import { count } from './support/report.mjs';
import { median } from './support/statistics.mjs';

const MB = 1_000_000;
const TARGET_MB = 300;
/** Ten times the tokens may cost so much more: a heap that is collected later is no leak. */
const FLAT = 1.25;

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const memory = {
  name: 'memory',
  summary: 'the most memory that inspect and flush hold; also at five times the size',
  sizes: { rounds: 1, tokens: 1_000_000, subjects: 200_000 },

  async run({ stores, sizes: { rounds, tokens, subjects }, say }) {
    const { product, cluster } = await stores.product();
    const [key] = product.keys;

    /** @param {{ tokens: number, subjects: number }} size */
    const measure = async (size) => {
      /** @type {{ inspect: number[], flush: number[] }} */
      const peaks = { inspect: [], flush: [] };
      for (let round = 1; round <= rounds; round++) {
        const now = Math.floor(Date.now() / 1000);
        const tally = await cluster.fill({ ...size, keys: [key], now }, productLayout);
        const inspected = await product.run(['cache', 'inspect', '--json'], { watchMemory: true });
        assertSeen(printed(inspected), tally, [key]);
        const flushed = await product.run(['cache', 'flush', '--kid', key.kid, '--yes', '--json'], {
          watchMemory: true,
        });
        assertRemoved(printed(flushed), tally.entries);
        peaks.inspect.push(inspected.peakBytes / MB);
        peaks.flush.push(flushed.peakBytes / MB);
        say(`${sizeText(size)}: ${megabytes(peaks.inspect)}, ${megabytes(peaks.flush)}`);
      }
      return { size, peaks };
    };
    const usual = await measure({ tokens, subjects });
    // As many subjects with a token each, and with ten.
    const few = await measure({ tokens: Math.ceil(tokens / 10), subjects: Math.ceil(tokens / 10) });
    const many = await measure({ tokens, subjects: Math.ceil(tokens / 10) });
    const large = await measure({ tokens: 5 * tokens, subjects: 5 * subjects });

    const commands = /** @type {const} */ (['inspect', 'flush']);
    return {
      series: [usual, few, many, large].flatMap(({ size, peaks }) =>
        commands.map((command) => ({
          name: `${command}, ${sizeText(size)}`,
          samples: peaks[command],
          format: (/** @type {number} */ value) => `${value.toFixed(0)} MB`,
        })),
      ),
      verdicts: commands.flatMap((command) => {
        const most = median(large.peaks[command]);
        const growth = median(many.peaks[command]) / median(few.peaks[command]);
        return [
          {
            name: `${command}, at the largest`,
            value: `${most.toFixed(0)} MB`,
            target: `under ${TARGET_MB} MB`,
            isReached: most < TARGET_MB,
          },
          {
            name: `${command}, ten times the tokens`,
            value: `${growth.toFixed(2)} times`,
            target: `flat (at most ${FLAT})`,
            isReached: growth <= FLAT,
          },
        ];
      }),
    };
  },
};

/** @param {{ tokens: number, subjects: number }} size */
function sizeText({ tokens, subjects }) {
  return `${count(tokens)} of ${count(subjects)}`;
}

/** @param {number[]} samples */
function megabytes(samples) {
  return `${(samples.at(-1) ?? 0).toFixed(0)} MB`;
}
