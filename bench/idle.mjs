// @ts-check
/**
 * What `token.idleTimeout` costs: verifications a second with it and without it, in turn in one process, and how many
 * writes each verification causes. The timeout is much shorter than anyone would set, so that many uses are due.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { issueTokens } from './support/issued.mjs';
import { count, ratioAtLeast } from './support/report.mjs';
import { median } from './support/statistics.mjs';

const CONTEST = fileURLToPath(new URL('support/contest.mjs', import.meta.url));
const MOST_WRITES = 0.1;
const LEAST = 0.9;

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const idle = {
  name: 'idle',
  summary: 'a verification with an idle timeout of 30 s, against one without; and its writes',
  sizes: { rounds: 5, tokens: 5000, subjects: 1000 },

  async run({ stores, sizes }) {
    const installation = await stores.product();
    const { product, folder } = installation;
    const file = join(folder, 'tokens');
    writeFileSync(file, `${(await issueTokens(installation, sizes)).join('\n')}\n`);
    const samples = await product.runModule(CONTEST, ['idle', file, String(sizes.rounds)]);
    /** @param {string} way @param {string} name */
    const series = (way, name) => ({ name, samples: samples[way] ?? [], format: perSecond });
    const asking = series('idle', 'asking Redis, with an idle timeout');
    const plain = series('plain', 'asking Redis, without');
    const near = series('nearIdle', 'near cache, with an idle timeout');
    const plainNear = series('near', 'near cache, without');
    const writes = median(samples.writes ?? []);
    return {
      series: [asking, plain, near, plainNear],
      verdicts: [
        { ...ratioAtLeast([asking, plain], LEAST), name: 'asking Redis' },
        { ...ratioAtLeast([near, plainNear], LEAST), name: 'near cache' },
        {
          name: 'writes per verification',
          value: writes.toFixed(3),
          target: `at most ${MOST_WRITES}`,
          isReached: writes <= MOST_WRITES,
        },
      ],
    };
  },
};

/** @param {number} value */
function perSecond(value) {
  return `${count(Math.round(value))}/s`;
}
