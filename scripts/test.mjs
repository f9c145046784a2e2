// @ts-check
/**
 * All that has to hold before a change is done, from a fresh clone on. Arguments go to vitest:
 * `npm test -- test/domain` runs only those tests.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { arePackagesOutdated, findTestPython, provideTestPrograms } from './installation.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Ends the run with this exit code. What went wrong has been said by the program that failed. */
class StepFailed extends Error {
  /** @param {number} exitCode */
  constructor(exitCode) {
    super();
    this.exitCode = exitCode;
  }
}

step('Packages', () => {
  if (arePackagesOutdated(root)) run('npm', ['ci', '--loglevel=error']);
});
step('Test servers', provideTestPrograms);
step('Build', () => run(process.execPath, ['scripts/build.mjs']));
step('Types', () => {
  run(bin('tsc'), ['-p', '.']);
  run(bin('tsc'), ['-p', 'src/page/browser']);
  run(bin('tsc'), ['-p', 'scripts']);
  run(bin('tsc'), ['-p', 'bench']);
});
step('Lint and format', () => run(bin('biome'), ['check', '.']));
step('Unused code', () => run(bin('knip'), []));
const { passed, failed, skipped, slowest } = step('Tests', runTests);
for (const name of skipped) console.log(`skipped: ${name}`);
console.log('\nThe slowest files:');
for (const { file, seconds } of slowest) console.log(`${seconds.toFixed(1).padStart(7)} s  ${file}`);
console.log(`\n${passed} passed, ${failed} failed`);

/**
 * @template T
 * @param {string} name
 * @param {() => T} work
 * @returns {T}
 */
function step(name, work) {
  console.log(`\n== ${name}`);
  const startedAt = performance.now();
  try {
    const result = work();
    console.log(`   done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    return result;
  } catch (error) {
    if (!(error instanceof StepFailed)) console.error(error instanceof Error ? error.message : error);
    console.error(`\n${name}: failed`);
    process.exit(error instanceof StepFailed ? error.exitCode : 1);
  }
}

/**
 * @returns {{ passed: number, failed: number, skipped: string[], slowest: Array<{ file: string, seconds: number }> }}
 */
function runTests() {
  const folder = mkdtempSync(join(tmpdir(), 'jwtctl-totals-'));
  const totals = join(folder, 'totals.json');
  const reporters = ['--reporter=default', '--reporter=./scripts/totals-reporter.mjs'];
  try {
    run(bin('vitest'), ['run', ...reporters, ...process.argv.slice(2)], {
      JWTCTL_TEST_PYTHON: findTestPython() ?? 'python3',
      JWTCTL_TEST_TOTALS: totals,
    });
    return JSON.parse(readFileSync(totals, 'utf8'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} name */
function bin(name) {
  return join(root, 'node_modules/.bin', name);
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {Record<string, string>} env
 */
function run(program, args, env = {}) {
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (error) throw error;
  if (status !== 0) throw new StepFailed(status ?? 1);
}
