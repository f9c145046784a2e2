// @ts-check
/**
 * The CPU time of a long table, against the same list as JSON. Both are whole programs that write into a file.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { count, ratioAtMost, seconds } from './support/report.mjs';

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const lists = {
  name: 'lists',
  summary: '`users list` as a table, against the same with --json',
  sizes: { rounds: 5, tokens: 20_000, subjects: 20_000 },

  async run({ stores, sizes, say }) {
    const { product } = await stores.product();
    const file = join(String(product.env.HOME), 'users.csv');
    const rows = Array.from({ length: sizes.subjects }, (_, number) => `user-${number},User ${number}\n`);
    writeFileSync(file, `sub,name\n${rows.join('')}`);
    await product.run(['users', 'import', file]);
    const timed = async (/** @type {string[]} */ ...flags) =>
      (await product.run(['users', 'list', ...flags])).seconds;

    /** @type {number[]} */
    const tables = [];
    /** @type {number[]} */
    const documents = [];
    for (let round = 0; round <= sizes.rounds; round++) {
      const [table, json] = [await timed(), await timed('--json')];
      // The first round warms up and does not count.
      if (round === 0) continue;
      tables.push(table);
      documents.push(json);
      say(`round ${round}: ${seconds(table)}, JSON ${seconds(json)}`);
    }
    const series = /** @type {const} */ ([
      { name: `a table of ${count(sizes.subjects)} rows`, samples: tables, format: seconds },
      { name: 'JSON', samples: documents, format: seconds },
    ]);
    return { series: [...series], verdicts: [ratioAtMost(series, 2)] };
  },
};
