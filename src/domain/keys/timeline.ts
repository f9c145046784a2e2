import { isTrusted, isVerifyOnly, type KeyState, type SigningKey } from '../model/signing-key.js';
import { dueAt, type RotationPolicy, verifyUntilAfter } from './rotation-plan.js';
import { type ScheduledStart, signingSchedule } from './signing-schedule.js';
import { signsFrom } from './signing-start.js';

/** The life of a key. Times after `now` are planned: they assume that `keys rotate` runs often enough. */
export interface KeyTimes {
  kid: string;
  state: KeyState;
  verifyOnly: boolean;
  publishedAt: number;
  /** Null for a key that never signs. */
  signsFrom: number | null;
  signsUntil: number | null;
  /** Null for a verify-only key without an end. */
  verifiesUntil: number | null;
}

export interface KeyTimeline {
  /** In the order of the keys. */
  keys: KeyTimes[];
  /** `now` if it is overdue; null without an active key. */
  nextRotation: number | null;
}

export type TimelinePolicy = Pick<
  RotationPolicy,
  'rotateAfterSeconds' | 'publishLeadSeconds' | 'maxTtlSeconds' | 'clockToleranceSeconds'
>;

export function keyTimeline(keys: readonly SigningKey[], policy: TimelinePolicy, now: number): KeyTimeline {
  const schedule = signingSchedule(keys, policy, now);
  const starts = [...schedule.values()];
  const active = keys.find(({ state }) => state === 'active');
  const nextRotation =
    active === undefined
      ? null
      : (starts[0]?.signsFrom ?? Math.max(now, signsFrom(undefined, dueAt(active, policy), policy, now)));
  const endOf = (start: ScheduledStart) =>
    starts[start.place]?.signsFrom ??
    start.signsFrom + Math.max(policy.rotateAfterSeconds, policy.publishLeadSeconds);

  const timesOf = (key: SigningKey): Pick<KeyTimes, 'signsFrom' | 'signsUntil' | 'verifiesUntil'> => {
    const start = schedule.get(key.kid);
    const signs = start?.signsFrom ?? key.activatedAt;
    if (key.state === 'pending' || key.state === 'active') {
      const signsUntil = start === undefined ? (nextRotation ?? now) : endOf(start);
      return { signsFrom: signs, signsUntil, verifiesUntil: verifyUntilAfter(key, policy, signsUntil) };
    }
    const ended = key.retiredAt ?? key.compromisedAt;
    return {
      signsFrom: signs,
      signsUntil: signs === null ? null : (key.retiringAt ?? ended),
      verifiesUntil: isTrusted(key.state)
        ? // It verifies until `keys rotate` retires it.
          key.verifyUntil && Math.max(now, key.verifyUntil)
        : ended,
    };
  };
  return {
    nextRotation,
    keys: keys.map((key) => ({
      ...{ kid: key.kid, state: key.state, verifyOnly: isVerifyOnly(key), publishedAt: key.createdAt },
      ...timesOf(key),
    })),
  };
}

/** What a key does from one time to another. `until` is null if there is no end. */
export interface KeyPhase {
  kind: 'published' | 'signs' | 'verifies';
  from: number;
  until: number | null;
}

/** Returns the phases of a key in order, without empty ones. */
export function phasesOf({
  verifyOnly,
  publishedAt,
  signsFrom: signs,
  signsUntil,
  verifiesUntil,
}: KeyTimes): KeyPhase[] {
  const phases: KeyPhase[] =
    signs === null
      ? [{ kind: verifyOnly ? 'verifies' : 'published', from: publishedAt, until: verifiesUntil }]
      : [
          { kind: 'published', from: publishedAt, until: signs },
          { kind: 'signs', from: signs, until: signsUntil },
          { kind: 'verifies', from: signsUntil ?? signs, until: verifiesUntil },
        ];
  return phases.filter(({ from, until }) => until === null || until > from);
}

export interface TimeAxis {
  from: number;
  to: number;
  /** The keys that the axis shows. The others ended before it begins. */
  shown: KeyTimes[];
}

/**
 * Returns the axis on which all these keys are drawn. It begins when the oldest key that is still trusted was published,
 * and ends with the last key. Keys that ended long ago, and verify-only keys that end much later, do not stretch it.
 * @param isWhole begins with the oldest key, even if it ended long ago
 */
export function timeAxis(
  { keys, nextRotation }: KeyTimeline,
  now: number,
  { isWhole = false }: { isWhole?: boolean } = {},
): TimeAxis {
  const trusted = keys.filter(({ state }) => isTrusted(state));
  const oldest = isWhole || trusted.length === 0 ? keys : trusted;
  const from = Math.min(now, ...oldest.map(({ publishedAt }) => publishedAt));
  const shown = keys.filter(({ verifiesUntil }) => verifiesUntil === null || verifiesUntil >= from);
  const endsOf = (isVerifyOnly: boolean) =>
    shown
      .filter(({ verifyOnly }) => verifyOnly === isVerifyOnly)
      .map(({ verifiesUntil }) => verifiesUntil ?? now);
  const lastEnd = Math.max(now, from + 1, nextRotation ?? now, ...endsOf(false));
  const to = Math.max(lastEnd, ...endsOf(true).filter((end) => end - from <= 2 * (lastEnd - from)));
  return { from, to, shown };
}
