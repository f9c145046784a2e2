import type { SigningKey } from '../model/signing-key.js';
import { byAge, dueAt, type RotationPolicy } from './rotation-plan.js';
import { publishedFrom, signsFrom } from './signing-start.js';

export interface ScheduledStart {
  /** 1 for the key that signs next. */
  place: number;
  /** When the key signs at the earliest, if `keys rotate` runs often enough. Verifiers may delay it further. */
  signsFrom: number;
}

/** Returns for each pending key, by `kid`, when it will sign. */
export function signingSchedule(
  keys: readonly SigningKey[],
  policy: Pick<RotationPolicy, 'rotateAfterSeconds' | 'publishLeadSeconds'>,
  now: number,
): Map<string, ScheduledStart> {
  const active = keys.find(({ state }) => state === 'active');
  const schedule = new Map<string, ScheduledStart>();
  let startsAt = now;
  for (const [index, key] of keys
    .filter(({ state }) => state === 'pending')
    .sort(byAge)
    .entries()) {
    if (index > 0) startsAt = Math.max(startsAt + policy.rotateAfterSeconds, publishedFrom(key, policy, now));
    // Without an active key, the next run makes this one active at once.
    else if (active !== undefined)
      startsAt = Math.max(now, signsFrom(key, dueAt(active, policy), policy, now));
    schedule.set(key.kid, { place: index + 1, signsFrom: startsAt });
  }
  return schedule;
}
