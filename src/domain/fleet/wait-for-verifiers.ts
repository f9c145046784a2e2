import type { Heartbeat, LogProgress } from '../ports/index.js';
import { type FleetPorts, FleetWatch, LOOK_EVERY_MS, MAYBE_PARTIAL } from './running-verifiers.js';

export interface FleetReport {
  verifiers: number;
  acknowledged: number;
  stragglers: Heartbeat[];
}

export type Acknowledgement = FleetReport | { unavailableReason: string };

/**
 * Waits until every running verifier has read this event of the security log. Ids become visible in commit
 * order, so each verifier also reports the ids that it lacks below its position. A verifier reports before it
 * first reads the log, so one that is not listed yet will read the event.
 * @param eventId null if the event has expired, so no verifier needs it
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
    // The clock has whole seconds, and the first one may be almost over.
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
