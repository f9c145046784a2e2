import type { Heartbeat, LogProgress } from '../ports/index.js';
import { type FleetPorts, FleetWatch, LOOK_EVERY_MS, MAYBE_PARTIAL } from './running-verifiers.js';

export interface FleetReport {
  /** How many run. */
  verifiers: number;
  /** How many of them have read the event. */
  acknowledged: number;
  stragglers: Heartbeat[];
}

/** What came of a wait, or why nothing could be seen of the fleet. */
export type Acknowledgement = FleetReport | { unavailableReason: string };

/**
 * Waits until every verifier that runs has read this event of the security log, or `timeoutSeconds` are over.
 *
 * Ids become visible in the order of commits, so a position alone proves nothing: each verifier tells which ids it lacks
 * below its own. One that is gone has nothing to read any more; one that has just begun announces itself before it reads
 * the log, so whoever does not see it here can rely on its reading the event. And a registry that has just lost what they
 * told may have some of them only: see {@link FleetWatch}.
 *
 * @param eventId null where the event has expired already: nobody has to read it
 * @param options.signal once it is aborted there is no further wait
 * @returns what the last look saw, or why there was nothing to see
 */
export async function waitForVerifiers(
  { openRegistry, clock }: FleetPorts,
  eventId: number | null,
  options: { timeoutSeconds: number; signal: AbortSignal; onLook?: (report: FleetReport) => void },
): Promise<Acknowledgement> {
  const watch = new FleetWatch({ openRegistry, clock });
  const giveUpAt = clock.now() + options.timeoutSeconds;
  for (;;) {
    const { verifiers, unavailableReason, isWhole } = await watch.look();
    const stragglers = verifiers.filter(({ log }) => eventId !== null && !hasRead(log, eventId));
    const count = verifiers.length;
    const report = { verifiers: count, acknowledged: count - stragglers.length, stragglers };
    if (unavailableReason === null) {
      options.onLook?.(report);
      if (stragglers.length === 0 && (isWhole || eventId === null)) return report;
    }
    // Of whole seconds the first may be almost over.
    if (clock.now() > giveUpAt || options.signal.aborted) {
      if (unavailableReason !== null) return { unavailableReason };
      return stragglers.length > 0 ? report : { unavailableReason: MAYBE_PARTIAL };
    }
    await clock.pause(LOOK_EVERY_MS, options.signal).catch((error) => {
      if (!options.signal.aborted) throw error;
    });
  }
}

export function hasRead({ position, missing }: LogProgress, id: number): boolean {
  return id <= position && !missing.some(([from, to]) => from <= id && id <= to);
}
