import { refusedBetween } from '../fleet/refusals.js';
import type { Fleet } from '../fleet/running-verifiers.js';
import type { Clock } from '../ports/index.js';
import type { KeyCount } from '../registry/keys-by-id.js';
import { JwtctlError } from '../shared/errors.js';
import type { Inspection } from './types.js';

export interface Look {
  at: number;
  /** After a failure, the previous report. */
  report: Inspection;
  /** The difference to the last complete look; null if there was none, or this one is incomplete. */
  change: RegistryChange | null;
  failure: { error: JwtctlError; since: number } | null;
}

export interface RegistryChange {
  since: number;
  /** Negative if there are fewer. */
  entries: number;
  /** Excludes entries that came and ended between the looks. */
  arrived: number;
  gone: number;
  arrivedPerSecond: number;
  gonePerSecond: number;
  /** As the running verifiers report it; null if there are none, or they could not be read. */
  refused: number | null;
  refusedPerSecond: number | null;
  byKid: Array<Omit<KeyCount, 'state' | 'verifyOnly'>>;
  byNode: Array<{ node: string; entries: number }>;
}

/** A complete look, to compare the next one with. */
interface WholeLook {
  at: number;
  report: Inspection;
  fleet: Fleet;
}

/**
 * Yields until `signal` is aborted. Rejects if the first look fails. Yields later unavailability with the
 * previous report, because a watch must survive a failover.
 * @param look gets the time, and the time of the last complete look
 */
export async function* watchRegistry(
  look: (at: number, since: number | undefined) => Promise<Inspection>,
  {
    clock,
    intervalSeconds,
    signal,
    askFleet,
  }: { clock: Clock; intervalSeconds: number; signal: AbortSignal; askFleet(): Promise<Fleet> },
): AsyncGenerator<Look> {
  let shown: Inspection | null = null;
  let whole = null as WholeLook | null;
  let failingSince: number | null = null;
  while (!signal.aborted) {
    const at = clock.now();
    const [seen, fleet] = await Promise.all([
      look(at, whole?.at).catch((error: unknown) => asUnavailable(error)),
      askFleet(),
    ]);
    if (signal.aborted) return;
    if (seen instanceof JwtctlError) {
      if (shown === null) throw seen;
      failingSince ??= at;
      yield { at, report: shown, change: null, failure: { error: seen, since: failingSince } };
    } else {
      const change: RegistryChange | null =
        whole !== null && seen.complete ? changeBetween(whole, { at, report: seen, fleet }) : null;
      if (seen.complete) whole = { at, report: seen, fleet };
      shown = seen;
      failingSince = null;
      yield { at, report: seen, change, failure: null };
    }
    await clock.until(Math.max(at + intervalSeconds, clock.now()), signal).catch((error) => {
      if (!signal.aborted) throw error;
    });
  }
}

function asUnavailable(error: unknown): JwtctlError {
  if (error instanceof JwtctlError && error.kind === 'unavailable') return error;
  throw error;
}

/** Entries issued before the earlier look can only stay or end, so a lower count of them gives `gone`. */
function changeBetween(earlier: WholeLook, later: WholeLook): RegistryChange {
  const entries = later.report.entries - earlier.report.entries;
  const { since } = later.report.issuedBefore;
  const missing = since === null ? 0 : earlier.report.issuedBefore.now - since;
  // Entries restored, or registered long after issuing, can hide others that ended.
  const gone = Math.max(0, missing, -entries);
  const arrived = entries + gone;
  const seconds = Math.max(1, later.at - earlier.at);
  const isFleetKnown = [earlier, later].every(({ fleet }) => fleet.unavailableReason === null);
  const refused = isFleetKnown
    ? refusedBetween({ at: earlier.at, verifiers: earlier.fleet.verifiers }, later.fleet.verifiers)
    : null;
  return {
    since: earlier.at,
    entries,
    arrived,
    gone,
    arrivedPerSecond: arrived / seconds,
    gonePerSecond: gone / seconds,
    refused,
    refusedPerSecond: refused === null ? null : refused / seconds,
    byKid: differences(earlier.report.byKid, later.report.byKid, ({ keyId }) => keyId).map(
      ([{ kid, keyId }, entries]) => ({ kid, keyId, entries }),
    ),
    byNode: differences(earlier.report.byNode, later.report.byNode, ({ node }) => node).map(
      ([{ node }, entries]) => ({ node, entries }),
    ),
  };
}

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
