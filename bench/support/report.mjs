// @ts-check
import { median, spread } from './statistics.mjs';

/**
 * @typedef {object} Series what was measured, once a round
 * @property {string} name
 * @property {readonly number[]} samples
 * @property {(value: number) => string} format
 *
 * @typedef {object} Verdict
 * @property {string} name
 * @property {string} value
 * @property {string} target
 * @property {boolean | null} isReached null where the machine is too busy to tell
 *
 * @typedef {object} Report
 * @property {Series[]} series
 * @property {Verdict[]} verdicts
 * @property {string[]} [remarks]
 */

/**
 * A report as text.
 *
 * @param {string} title
 * @param {Report} report
 */
export function render(title, { series, verdicts, remarks = [] }) {
  const width = Math.max(...[...series, ...verdicts].map(({ name }) => name.length));
  return [
    title,
    ...series.map(({ name, samples, format }) => {
      const { least, most } = spread(samples);
      const range = samples.length === 1 ? '' : `   (${format(least)} to ${format(most)})`;
      return `  ${name.padEnd(width)}   ${format(median(samples))}${range}`;
    }),
    ...verdicts.map(
      ({ name, value, target, isReached }) =>
        `  ${name.padEnd(width)}   ${value}   target: ${target}: ${outcome(isReached)}`,
    ),
    ...remarks.map((remark) => `  ${remark}`),
  ].join('\n');
}

/** @param {boolean | null} isReached */
function outcome(isReached) {
  if (isReached === null) return 'the machine is too busy to tell';
  return isReached ? 'reached' : 'NOT REACHED';
}

/**
 * How many times the second median the first one is.
 *
 * @typedef {readonly [Series, Series]} Pair the product and its peer
 *
 * @param {Pair} pair
 * @param {number} most to reach the target
 * @returns {Verdict}
 */
export function ratioAtMost(pair, most) {
  const ratio = ratioOf(pair);
  return { name: 'ratio', value: ratio.toFixed(2), target: `at most ${most}`, isReached: ratio <= most };
}

/**
 * @param {Pair} pair
 * @param {number} least to reach the target
 * @returns {Verdict}
 */
export function ratioAtLeast(pair, least) {
  const ratio = ratioOf(pair);
  return { name: 'ratio', value: ratio.toFixed(2), target: `at least ${least}`, isReached: ratio >= least };
}

/** @param {Pair} pair */
function ratioOf([one, other]) {
  return median(one.samples) / median(other.samples);
}

export const seconds = (/** @type {number} */ value) => `${value.toFixed(2)} s`;
export const count = (/** @type {number} */ value) => value.toLocaleString('en');
