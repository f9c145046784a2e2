import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../domain/ports/index.js';

export const systemClock: Clock = {
  now: () => Math.floor(Date.now() / 1000),
  // A clock that is set back does not prolong the wait. 2 ms more, because Node may fire timers early.
  until: async (time, signal) => {
    const rest = time * 1000 - Date.now();
    // Node fires longer timers (over 24 days) at once.
    const ms = Math.min(rest + 2, 2 ** 31 - 1);
    if (rest > 0) await delay(ms, undefined, signal === undefined ? {} : { signal });
  },
  pause: (milliseconds, signal) => delay(milliseconds, undefined, signal === undefined ? {} : { signal }),
};

export function shifted({ now, until, pause }: Clock, seconds: number): Clock {
  return { now: () => now() + seconds, until: (time, signal) => until(time - seconds, signal), pause };
}
