import type { Inspection } from './types.js';

/** Upper bounds of the buckets, in seconds. A last bucket has no bound. */
const TTL_BOUNDS = [60, 300, 900, 3_600, 21_600, 86_400, 604_800] as const;

const HOUR = 3_600;
const HOURS = 24;

/** Counts entries by their remaining lifetime: in steps that grow, and in hours. */
export class LifetimeHistogram {
  readonly #ttl: number[] = Array.from({ length: TTL_BOUNDS.length + 1 }, () => 0);
  readonly #hours: number[] = Array.from({ length: HOURS + 1 }, () => 0);

  add(secondsLeft: number): void {
    const bucket = bucketOf(secondsLeft);
    this.#ttl[bucket] = (this.#ttl[bucket] ?? 0) + 1;
    const hour = Math.max(0, Math.min(HOURS, Math.ceil(secondsLeft / HOUR) - 1));
    this.#hours[hour] = (this.#hours[hour] ?? 0) + 1;
  }

  report(): Pick<Inspection, 'ttl' | 'expiry'> {
    return {
      ttl: this.#ttl.map((entries, index) => ({ leSeconds: TTL_BOUNDS[index] ?? null, entries })),
      expiry: this.#hours.map((entries, hour) => ({
        leSeconds: hour < HOURS ? (hour + 1) * HOUR : null,
        entries,
      })),
    };
  }
}

function bucketOf(secondsLeft: number): number {
  let bucket = 0;
  for (const bound of TTL_BOUNDS) {
    if (secondsLeft <= bound) return bucket;
    bucket += 1;
  }
  return bucket;
}
