// @ts-check
/**
 * Runs the benchmarks: the built product and what it is compared with, in turn, on servers of their own that are gone
 * afterwards.
 *
 *   npm run bench                        all of them
 *   npm run bench inspect flush          these
 *   npm run bench -- --list              what there is
 *   npm run bench inspect -- --rounds 9 --tokens 100000 --subjects 20000
 *
 * The exit code is 0 whatever the figures are, and 1 where a run fails or its counts are wrong.
 */
import { execFileSync } from 'node:child_process';
import { availableParallelism, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bytes } from './bytes.mjs';
import { cold } from './cold.mjs';
import { flush } from './flush.mjs';
import { idle } from './idle.mjs';
import { inspect } from './inspect.mjs';
import { issue } from './issue.mjs';
import { lists } from './lists.mjs';
import { memory } from './memory.mjs';
import { pause } from './pause.mjs';
import { policy } from './policy.mjs';
import { revocation } from './revocation.mjs';
import { serve } from './serve.mjs';
import { logins, refreshes } from './sessions.mjs';
import { killPrograms } from './support/programs.mjs';
import { count, render } from './support/report.mjs';
import { openStores } from './support/stores.mjs';
import { first, near, verify } from './verify.mjs';

const BENCHMARKS = [
  inspect,
  flush,
  pause,
  bytes,
  issue,
  memory,
  verify,
  first,
  near,
  idle,
  revocation,
  serve,
  policy,
  logins,
  refreshes,
  lists,
  cold,
];
const root = fileURLToPath(new URL('..', import.meta.url));

const { names, sizes, isList } = readArguments();
if (isList) {
  for (const { name, summary, sizes: usual } of BENCHMARKS) {
    console.log(`${name.padEnd(9)} ${summary} (${describe(usual)})`);
  }
} else {
  const chosen = BENCHMARKS.filter(({ name }) => names.length === 0 || names.includes(name)).map(
    (benchmark) => ({ ...benchmark, sizes: { ...benchmark.sizes, ...sizes } }),
  );
  for (const { name, sizes: asked } of chosen) {
    if (asked.subjects > asked.tokens) {
      console.error(`${name}: each subject has a token, so ${describe(asked)} cannot be.`);
      process.exit(2);
    }
  }
  await runAll(chosen);
}

/** @param {readonly import('./support/benchmark.mjs').Benchmark[]} chosen */
async function runAll(chosen) {
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: ['ignore', 2, 2] });
  const stores = openStores();
  let isInterrupted = false;
  const stop = async () => {
    killPrograms();
    await stores.stop();
  };
  // Ctrl-C reaches npm, too, which passes it on: it may come twice.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      isInterrupted = true;
      stop().finally(() => process.exit(130));
    });
  }
  console.log(`Node ${process.version}, ${availableParallelism()} cores; median (least to most)`);
  try {
    for (const benchmark of chosen) {
      const { name, sizes: used } = benchmark;
      // Whatever else runs on the machine moves the figures, and not those of both alike.
      const load = `load average before: ${loadavg()[0]?.toFixed(1)}`;
      const say = (/** @type {string} */ text) => console.error(`${name}: ${text}`);
      try {
        const report = await benchmark.run({ stores, sizes: used, say });
        console.log(`\n${render(`${name}: ${describe(used)}; ${load}`, report)}`);
      } catch (error) {
        // Then everything fails, and nobody asks why.
        if (isInterrupted) break;
        console.error(`${name}: failed: ${error instanceof Error ? error.message : error}`);
        process.exitCode = 1;
      }
    }
  } finally {
    await stop();
  }
}

/** @param {import('./support/benchmark.mjs').Sizes} sizes */
function describe({ rounds, tokens, subjects }) {
  return `${count(tokens)} tokens of ${count(subjects)} subjects, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}`;
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        list: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        tokens: { type: 'string' },
        subjects: { type: 'string' },
      },
    });
    const unknown = positionals.find((name) => BENCHMARKS.every((benchmark) => benchmark.name !== name));
    if (unknown !== undefined) throw new Error(`There is no benchmark ${unknown}; --list names them.`);
    const given = Object.entries({
      rounds: values.rounds,
      tokens: values.tokens,
      subjects: values.subjects,
    }).filter(([, text]) => text !== undefined);
    for (const [name, text] of given) {
      if (!/^[1-9][0-9]{0,8}$/.test(text ?? '')) throw new Error(`--${name} is a whole number above zero.`);
    }
    return {
      names: positionals,
      sizes: Object.fromEntries(given.map(([name, text]) => [name, Number(text)])),
      isList: values.list,
    };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
}
