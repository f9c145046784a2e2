// @ts-check
/**
 * How long after `token revoke` has said that it is done a token is still accepted by four processes with near caches that
 * verify all the while: by when the last verification began that accepted it. A clock shared by all tells.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { issueTokens } from './support/issued.mjs';
import { count } from './support/report.mjs';

const PROCESSES = 4;
const TARGET_MS = 50;
/** `docs/library.md`, "Near cache": how long a verdict may outlive a revocation. */
const BOUND_MS = 2000;
const VERIFYING = fileURLToPath(new URL('../test/support/verifying-near.mjs', import.meta.url));

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const revocation = {
  name: 'revocation',
  summary: 'how long four processes with near caches accept a token after its revocation is done',
  sizes: { rounds: 100, tokens: 500, subjects: 500 },

  async run({ stores, sizes }) {
    const installation = await stores.product();
    const { product } = installation;
    const tokens = await issueTokens(installation, sizes);
    const verifiers = Array.from({ length: PROCESSES }, () =>
      fork(VERIFYING, { env: product.env, execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
    );
    try {
      await Promise.all(verifiers.map((verifier) => once(verifier, 'message')));
      for (const verifier of verifiers) for (const token of tokens) verifier.send(token);
      // Until every verdict is held.
      await delay(2000);

      /** @type {Map<string, number>} */
      const doneAt = new Map();
      for (const token of tokens.slice(0, sizes.rounds)) {
        await product.run(['token', 'revoke', token, '--json']);
        doneAt.set(token, Date.now());
      }
      await delay(BOUND_MS);
      const reports = await Promise.all(
        verifiers.map(async (verifier) => {
          verifier.send('end');
          const [report] = await once(verifier, 'message');
          return report;
        }),
      );
      const lags = reports.flatMap(({ tokens: seen }) =>
        [...doneAt].map(([token, done]) => {
          const { lastAccepted, firstRefused } = seen[token];
          if (lastAccepted === null || firstRefused === null)
            throw new Error('A token was never accepted, or never refused.');
          return Math.max(0, lastAccepted - done);
        }),
      );
      const sorted = lags.sort((a, b) => a - b);
      const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;
      const longest = sorted.at(-1) ?? 0;
      const held = reports.reduce((sum, { nearCache }) => sum + nearCache.hits, 0);
      return {
        series: [{ name: 'accepted after the revocation was done', samples: lags, format: milliseconds }],
        verdicts: [
          {
            name: 'p99',
            value: milliseconds(p99),
            target: `under ${TARGET_MS} ms`,
            isReached: p99 < TARGET_MS,
          },
          {
            name: 'longest',
            value: milliseconds(longest),
            target: `at most ${BOUND_MS} ms`,
            isReached: longest <= BOUND_MS,
          },
        ],
        remarks: [`${count(held)} verifications were answered from near caches meanwhile`],
      };
    } finally {
      for (const verifier of verifiers) verifier.kill('SIGKILL');
    }
  },
};

/** @param {number} value */
function milliseconds(value) {
  return `${value} ms`;
}
