import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../domain/ports/index.js';

/** The host's clock. */
export const systemClock: Clock = {
  now: () => Math.floor(Date.now() / 1000),
  // Waits for as long as it seems now, and no longer if the clock is set back meanwhile. A timer may fire a moment early.
  until: async (time, signal) => {
    const rest = time * 1000 - Date.now();
    // Node takes a longer timer (24 days) for one of no time at all.
    const ms = Math.min(rest + 2, 2 ** 31 - 1);
    if (rest > 0) await delay(ms, undefined, signal === undefined ? {} : { signal });
  },
  pause: (milliseconds, signal) => delay(milliseconds, undefined, signal === undefined ? {} : { signal }),
};

/** Returns a clock that is the given number of seconds ahead of another one. */
export function shifted({ now, until, pause }: Clock, seconds: number): Clock {
  return {
    now: () => now() + seconds,
    until: (time, signal) => until(time - seconds, signal),
    pause,
  };
}
