import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from './domain/ports.js';

/** The host's clock. */
export const systemClock: Clock = {
  now: () => Math.floor(Date.now() / 1000),
  until: async (time) => {
    for (let rest = time * 1000 - Date.now(); rest > 0; rest = time * 1000 - Date.now()) await delay(rest);
  },
};
