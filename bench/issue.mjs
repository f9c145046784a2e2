// @ts-check
/**
 * How many tokens a second `token issue --sub-file` makes for users that MariaDB knows: looked up, signed, registered in
 * the cluster and printed, the program's start included.
 *
 * The peer is `openssl speed rsa2048` on all cores, which does nothing but sign with a key in memory: no machine can
 * issue RS256 tokens faster. The servers take their share of the same cores; openssl has them to itself.
 */
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { assertSeen } from './support/counts.mjs';
import { signaturesPerSecond } from './support/openssl.mjs';
import { printed } from './support/product.mjs';
import { openRandom } from './support/random.mjs';
import { count, ratioAtLeast } from './support/report.mjs';
import { subjectName } from './support/tokens.mjs';

/**
 * @typedef {import('./support/product.mjs').Product} Product
 * @typedef {{ token: string, jti: string, kid: string, sub: string }} Issued
 */

const ROWS_PER_INSERT = 5000;
/** Tokens of each round that are verified, each in a run of its own. */
const VERIFIED = 3;

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const issue = {
  name: 'issue',
  summary: '`token issue --sub-file`, against the signatures of `openssl speed rsa2048` on all cores',
  sizes: { rounds: 3, tokens: 100_000, subjects: 100_000 },

  async run({ stores, sizes, say }) {
    const { product, cluster, folder } = await stores.product();
    const { stdout: help } = await product.run(['token', 'issue', '--help']);
    if (!help.includes('--sub-file')) {
      throw new Error(
        'This build of jwtctl has no `token issue --sub-file`, so there is nothing to measure.',
      );
    }
    const subs = shuffled(sizes);
    const input = join(folder, 'subs');
    const output = join(folder, 'issued.ndjson');
    writeFileSync(input, `${subs.join('\n')}\n`);
    await importUsers(product, [...new Set(subs)]);

    /** @type {number[]} */
    const own = [];
    /** @type {number[]} */
    const others = [];
    for (let round = 1; round <= sizes.rounds; round++) {
      await cluster.wipe();
      const file = openSync(output, 'w');
      const run = await product.run(['token', 'issue', '--sub-file', input], { stdout: file });
      closeSync(file);
      await assertIssued(product, readIssued(output), subs);
      own.push(subs.length / run.seconds);
      others.push(await signaturesPerSecond(availableParallelism()));
      say(`round ${round}: ${perSecond(own.at(-1) ?? 0)}, peer ${perSecond(others.at(-1) ?? 0)}`);
    }
    rmSync(output);
    const series = /** @type {const} */ ([
      { name: 'jwtctl token issue --sub-file', samples: own, format: perSecond },
      { name: 'openssl speed rsa2048', samples: others, format: perSecond },
    ]);
    return { series: [...series], verdicts: [ratioAtLeast(series, 0.75)] };
  },
};

/**
 * Each subject as often as any other, in no order that an index could profit from.
 *
 * @param {{ tokens: number, subjects: number }} sizes
 */
function shuffled({ tokens, subjects }) {
  const random = openRandom(3);
  const subs = Array.from({ length: tokens }, (_, index) => subjectName(index % subjects));
  for (let last = subs.length - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [subs[last], subs[other]] = [subs[other] ?? '', subs[last] ?? ''];
  }
  return subs;
}

/**
 * As rows of the table `users`: importing is not what is measured.
 *
 * @param {Product} product
 * @param {readonly string[]} subs
 */
async function importUsers({ query }, subs) {
  const now = Math.floor(Date.now() / 1000);
  await query('DELETE FROM users');
  for (let from = 0; from < subs.length; from += ROWS_PER_INSERT) {
    const rows = subs
      .slice(from, from + ROWS_PER_INSERT)
      .map((sub) => [Buffer.from(sub), null, 'enabled', 1, now, now]);
    await query('INSERT INTO users (sub, name, status, version, created_at, updated_at) VALUES ?', [rows]);
  }
}

/** @param {string} file */
function readIssued(file) {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines.map((line) => /** @type {Issued} */ (JSON.parse(line)));
}

/**
 * Every subject has as many tokens as were asked for, all are registered, and some of them are verified.
 *
 * @param {Product} product
 * @param {readonly Issued[]} issued
 * @param {readonly string[]} subs
 */
async function assertIssued(product, issued, subs) {
  const [key] = product.keys;
  const isRight =
    new Set(issued.map(({ jti }) => jti)).size === subs.length &&
    sortedSubs(issued.map(({ sub }) => sub)) === sortedSubs(subs);
  if (!isRight) {
    throw new Error(`token issue printed ${count(issued.length)} tokens that are not the ones asked for.`);
  }
  const tally = {
    entries: subs.length,
    subjects: new Set(subs).size,
    byKeyId: new Map([[key.id, subs.length]]),
  };
  assertSeen(printed(await product.run(['cache', 'inspect', '--json'])), tally, [key]);
  for (let index = 0; index < VERIFIED; index++) {
    const { token } = /** @type {Issued} */ (issued[Math.floor((index * issued.length) / VERIFIED)]);
    await product.run(['token', 'verify', token]);
  }
}

/** @param {readonly string[]} subs */
function sortedSubs(subs) {
  return [...subs].sort().join('\n');
}

/** @param {number} value */
function perSecond(value) {
  return `${count(Math.round(value))}/s`;
}
