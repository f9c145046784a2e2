// @ts-check
import { writeFileSync } from 'node:fs';

const LISTED = 15;

/**
 * A vitest reporter that writes `{ passed, failed, skipped, slowest }` to the file that JWTCTL_TEST_TOTALS names: `skipped`
 * holds the names of the tests that did not run, and `slowest` the files that took the most time, in seconds.
 */
export default class TotalsReporter {
  /** @param {ReadonlyArray<import('vitest/node').TestModule>} modules */
  onTestRunEnd(modules) {
    const file = process.env.JWTCTL_TEST_TOTALS;
    if (file === undefined) return;
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const inState = (/** @type {string} */ state) => tests.filter((test) => test.result().state === state);
    const totals = {
      passed: inState('passed').length,
      failed: inState('failed').length,
      skipped: inState('skipped').map((test) => test.fullName),
      slowest: modules
        .map((module) => ({ file: module.relativeModuleId, seconds: module.diagnostic().duration / 1000 }))
        .sort((a, b) => b.seconds - a.seconds)
        .slice(0, LISTED),
    };
    writeFileSync(file, JSON.stringify(totals));
  }
}
