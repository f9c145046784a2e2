// @ts-check
/**
 * How many tokens a second the library verifies in one process, with 256 verifications under way, against what else such
 * a process could do with the same tokens: see support/contest.mjs, in which both run in turn.
 *
 * The four checks are made of each token; the token's text is a new string each time, as it is when it comes from a socket.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { issueTokens } from './support/issued.mjs';
import { count, ratioAtLeast } from './support/report.mjs';

/** @typedef {import('./support/benchmark.mjs').Benchmark} Benchmark */

const CONTEST = fileURLToPath(new URL('support/contest.mjs', import.meta.url));
const SIZES = { rounds: 5, tokens: 5000, subjects: 1000 };

/** @type {Benchmark} */
export const verify = contest(
  'verify',
  'a verification that asks Redis each time, against auto-pipelined MGET, fast-jwt with MGET, jsonwebtoken with GETs',
  {
    ours: 'jwtctl, asking Redis',
    mget: ['ioredis, MGET of two keys', 1.2],
    fastJwt: ['fast-jwt, cached, and MGET', 1.8],
    jsonwebtoken: ['jsonwebtoken and two GETs', 15],
  },
);

/** @type {Benchmark} */
export const first = contest(
  'first',
  'the first verification of every token, against jose without any store',
  {
    ours: 'jwtctl, tokens never seen',
    jose: ['jose, jwtVerify', 1],
  },
);

/** @type {Benchmark} */
export const near = contest(
  'near',
  "a verification with a near cache, against fast-jwt's cache, which asks no store",
  {
    ours: 'jwtctl, near cache',
    fastJwt: ['fast-jwt, cached', 2],
  },
);

/**
 * @param {string} name
 * @param {string} summary
 * @param {{ ours: string } & Record<string, string | [name: string, least: number]>} ways and how many times as quick as each of them
 * @returns {Benchmark}
 */
function contest(name, summary, { ours, ...others }) {
  return {
    name,
    summary,
    sizes: SIZES,
    async run({ stores, sizes }) {
      const installation = await stores.product();
      const { product, folder } = installation;
      const file = join(folder, 'tokens');
      writeFileSync(file, `${(await issueTokens(installation, sizes)).join('\n')}\n`);
      const samples = await product.runModule(CONTEST, [name, file, String(sizes.rounds)]);
      const own = { name: ours, samples: samples.ours ?? [], format: perSecond };
      const peers = Object.entries(others).map(([way, [peer, least]]) => ({
        series: { name: String(peer), samples: samples[way] ?? [], format: perSecond },
        least: Number(least),
      }));
      return {
        series: [own, ...peers.map(({ series }) => series)],
        verdicts: peers.map(({ series, least }) => ({
          ...ratioAtLeast([own, series], least),
          name: `against ${series.name}`,
        })),
      };
    },
  };
}

/** @param {number} value */
function perSecond(value) {
  return `${count(Math.round(value))}/s`;
}
