// @ts-check
/** A benchmark that measures a broken run is worth nothing: what the product says it did has to be exact. */
import { count } from './report.mjs';
import { sum } from './statistics.mjs';

/**
 * @param {any} report of `cache inspect`
 * @param {import('./cluster.mjs').Tally} tally
 * @param {readonly import('./tokens.mjs').Key[]} keys
 */
export function assertSeen(report, tally, keys) {
  const byKid = new Map(report.byKid.map((/** @type {any} */ row) => [row.kid, row.entries]));
  const isRight =
    report.complete === true &&
    report.entries === tally.entries &&
    report.subjects === tally.subjects &&
    keys.every(({ id, kid }) => (byKid.get(kid) ?? 0) === (tally.byKeyId.get(id) ?? 0)) &&
    sum(report.byNode.map((/** @type {any} */ row) => row.entries)) === tally.entries &&
    sum(report.ttl.map((/** @type {any} */ row) => row.entries)) === tally.entries;
  if (!isRight) {
    throw new Error(
      `cache inspect does not see the ${count(tally.entries)} tokens of ${count(tally.subjects)} subjects: ${JSON.stringify(report)}`,
    );
  }
}

/**
 * @param {any} report of `cache flush`
 * @param {number} entries
 */
export function assertRemoved(report, entries) {
  const isRight =
    report.complete === true &&
    report.removed === entries &&
    report.matched === entries &&
    sum(report.byNode.map((/** @type {any} */ row) => row.removed)) === entries;
  if (!isRight)
    throw new Error(`cache flush did not remove the ${count(entries)} tokens: ${JSON.stringify(report)}`);
}
