// @ts-check

/**
 * The middle one, or the mean of the two in the middle.
 *
 * @param {readonly number[]} samples at least one
 */
export function median(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** @param {readonly number[]} samples */
export function spread(samples) {
  return { least: Math.min(...samples), most: Math.max(...samples) };
}

/** @param {Iterable<number>} values */
export function sum(values) {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
