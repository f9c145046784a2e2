import type { Clock } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import type { StreamEvent } from './event.js';
import type { StreamPosition } from './position.js';
import { type ReadableAuditLog, readEvents } from './read-events.js';

export interface FollowOptions {
  signal: AbortSignal;
  intervalSeconds: number;
  /** Ends after the last event instead of waiting for the next one. */
  isOnce?: boolean;
  /** Ends after this many events. */
  limit?: number | undefined;
  /** Called with the first of several failures in a row, and with null after the next success. */
  onFailure(error: JwtctlError | null): void;
}

/**
 * Yields the events after the position as they are recorded, until `signal` is aborted. An unavailable database is
 * asked again without end, because a follower must survive a failover; with `isOnce`, it rejects.
 * @throws JwtctlError as `readEvents`
 */
export async function* followEvents(
  { auditLog, clock }: { auditLog: ReadableAuditLog; clock: Pick<Clock, 'pause'> },
  start: StreamPosition,
  { signal, intervalSeconds, isOnce = false, limit = Number.POSITIVE_INFINITY, onFailure }: FollowOptions,
): AsyncGenerator<readonly StreamEvent[]> {
  let position = start;
  let left = limit;
  let isFailing = false;
  while (!signal.aborted) {
    const page = await readEvents(auditLog, position).catch((error: unknown) => {
      if (isOnce || !(error instanceof JwtctlError) || error.kind !== 'unavailable') throw error;
      return error;
    });
    if (page instanceof JwtctlError) {
      if (!isFailing) onFailure(page);
      isFailing = true;
    } else {
      if (isFailing) onFailure(null);
      isFailing = false;
      if (page !== null) {
        position = page.end;
        const events = page.events.slice(0, left);
        left -= events.length;
        yield events;
        if (left === 0) return;
        continue;
      }
      if (isOnce) return;
    }
    await clock.pause(intervalSeconds * 1000, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
