import type { Clock } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import type { Inspection } from './inspection.js';
import type { KeyCount } from './key-names.js';

/** One look of a watch. */
export interface Look {
  /** NumericDate seconds. */
  at: number;
  /** What was seen, now or, after a failure, the last time. */
  report: Inspection;
  /** What is different from the last look that saw everything; null where there is none, or this one saw less. */
  change: RegistryChange | null;
  /** Why this look saw nothing; since when that is so. */
  failure: { error: JwtctlError; since: number } | null;
}

export interface RegistryChange {
  /** When the other look began. */
  since: number;
  /** How many entries there are more; negative for fewer. */
  entries: number;
  /** Entries that came, and entries that ended. What did both in between was never seen. */
  arrived: number;
  gone: number;
  arrivedPerSecond: number;
  gonePerSecond: number;
  byKid: Array<Omit<KeyCount, 'state'>>;
  byNode: Array<{ node: string; entries: number }>;
}

/**
 * Looks again and again, one look after the other, each `intervalSeconds` after the one before began, or as soon as that
 * one is over. Ends once `signal` is aborted.
 *
 * A store that cannot be reached ends the first look with its error, because there is nothing to show. Later looks tell
 * of it beside what was seen last, and go on: a watch is wanted most while a failover is under way.
 *
 * @param look is given the time, and for the comparison the time of the last look that saw everything
 */
export async function* watchRegistry(
  look: (at: number, since: number | undefined) => Promise<Inspection>,
  { clock, intervalSeconds, signal }: { clock: Clock; intervalSeconds: number; signal: AbortSignal },
): AsyncGenerator<Look> {
  let shown: Inspection | null = null;
  /** The last look that saw everything. */
  let whole = null as { at: number; report: Inspection } | null;
  let failingSince: number | null = null;
  while (!signal.aborted) {
    const at = clock.now();
    const seen = await look(at, whole?.at).catch((error: unknown) => asFailure(error));
    if (signal.aborted) return;
    if (seen instanceof JwtctlError) {
      if (shown === null) throw seen;
      failingSince ??= at;
      yield { at, report: shown, change: null, failure: { error: seen, since: failingSince } };
    } else {
      const change: RegistryChange | null =
        whole !== null && seen.complete ? changeBetween(whole, { at, report: seen }) : null;
      if (seen.complete) whole = { at, report: seen };
      shown = seen;
      failingSince = null;
      yield { at, report: seen, change, failure: null };
    }
    await clock.until(Math.max(at + intervalSeconds, clock.now()), signal).catch((error) => {
      if (!signal.aborted) throw error;
    });
  }
}

/** What may be over by the next look. @throws anything else */
function asFailure(error: unknown): JwtctlError {
  if (error instanceof JwtctlError && error.kind === 'unavailable') return error;
  throw error;
}

/**
 * Which entries are new is told by when they were issued. Those that were there before the earlier look began can only have
 * stayed or gone, so what is missing of them has gone; the rest of the difference has come.
 */
function changeBetween(
  earlier: { at: number; report: Inspection },
  later: { at: number; report: Inspection },
): RegistryChange {
  const entries = later.report.entries - earlier.report.entries;
  const { since } = later.report.issuedBefore;
  const missing = since === null ? 0 : earlier.report.issuedBefore.now - since;
  // What was restored, or registered long after it was issued, makes up for others that went.
  const gone = Math.max(0, missing, -entries);
  const arrived = entries + gone;
  const seconds = Math.max(1, later.at - earlier.at);
  return {
    since: earlier.at,
    entries,
    arrived,
    gone,
    arrivedPerSecond: arrived / seconds,
    gonePerSecond: gone / seconds,
    byKid: differences(earlier.report.byKid, later.report.byKid, ({ keyId }) => keyId).map(
      ([{ kid, keyId }, entries]) => ({ kid, keyId, entries }),
    ),
    byNode: differences(earlier.report.byNode, later.report.byNode, ({ node }) => node).map(
      ([{ node }, entries]) => ({ node, entries }),
    ),
  };
}

/** Of every name that either has, with a row of that name. */
function differences<Row extends { entries: number }>(
  earlier: readonly Row[],
  later: readonly Row[],
  nameOf: (row: Row) => string | number,
): Array<[Row, number]> {
  const before = new Map(earlier.map((row) => [nameOf(row), row]));
  const after = new Map(later.map((row) => [nameOf(row), row]));
  const rows = new Map([...after, ...[...before].filter(([name]) => !after.has(name))]);
  return [...rows].map(([name, row]) => [
    row,
    (after.get(name)?.entries ?? 0) - (before.get(name)?.entries ?? 0),
  ]);
}
