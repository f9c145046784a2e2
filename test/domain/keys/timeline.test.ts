import { describe, expect, test } from 'vitest';
import { keyTimeline, phasesOf, timeAxis } from '../../../src/domain/keys/timeline.js';
import type { SigningKey } from '../../../src/domain/model/signing-key.js';
import { signingKey } from '../../support/signing-keys.js';

const POLICY = {
  rotateAfterSeconds: 1_000,
  publishLeadSeconds: 100,
  maxTtlSeconds: 300,
  clockToleranceSeconds: 40,
};
/** A key verifies for this long after it has signed: 60 for issuers that hold it, the lifetime, and the tolerance. */
const TAIL = 400;
const NOW = 5_000;

const RETIRED = signingKey({
  ...{ kid: 'retired', state: 'retired', createdAt: 1_000, activatedAt: 1_100, retiringAt: 2_100 },
  ...{ verifyUntil: 2_500, retiredAt: 2_600 },
});
const RETIRING = signingKey({
  ...{ kid: 'retiring', state: 'retiring', createdAt: 2_000, activatedAt: 3_800, retiringAt: 4_800 },
  verifyUntil: 5_200,
});
const ACTIVE = signingKey({ kid: 'active', state: 'active', createdAt: 3_900, activatedAt: 4_800 });
const PENDING = signingKey({ kid: 'pending', state: 'pending', createdAt: 4_850 });

const timeline = (keys: SigningKey[], now = NOW) => keyTimeline(keys, POLICY, now);
const only = (key: SigningKey, now = NOW) => timeline([key], now).keys[0];

describe('the timeline of keys', () => {
  test('gives the past and planned times of each key, in the order of the keys', () => {
    expect(timeline([RETIRED, RETIRING, ACTIVE, PENDING])).toEqual({
      nextRotation: 5_800,
      keys: [
        {
          ...{ kid: 'retired', state: 'retired', verifyOnly: false },
          ...{ publishedAt: 1_000, signsFrom: 1_100, signsUntil: 2_100, verifiesUntil: 2_600 },
        },
        {
          ...{ kid: 'retiring', state: 'retiring', verifyOnly: false },
          ...{ publishedAt: 2_000, signsFrom: 3_800, signsUntil: 4_800, verifiesUntil: 5_200 },
        },
        {
          ...{ kid: 'active', state: 'active', verifyOnly: false },
          ...{ publishedAt: 3_900, signsFrom: 4_800, signsUntil: 5_800, verifiesUntil: 5_800 + TAIL },
        },
        {
          ...{ kid: 'pending', state: 'pending', verifyOnly: false },
          ...{ publishedAt: 4_850, signsFrom: 5_800, signsUntil: 6_800, verifiesUntil: 6_800 + TAIL },
        },
      ],
    });
  });

  test('lets a pending key sign until the next one does, and plans with the longest lifetime of its tokens', () => {
    const later = signingKey({ kid: 'later', state: 'pending', createdAt: 6_500 });
    const long = { ...ACTIVE, maxTtlSeconds: 5_000 };
    const { keys } = timeline([long, PENDING, later]);
    expect(keys.map(({ signsUntil }) => signsUntil)).toEqual([5_800, 6_800, 7_800]);
    expect(keys[0]?.verifiesUntil).toBe(5_800 + 5_100);
  });

  test('plans an overdue rotation for now, and a rotation without a pending key after the publish lead', () => {
    expect(timeline([ACTIVE, PENDING], 9_000).nextRotation).toBe(9_000);
    expect(timeline([ACTIVE], 9_000).nextRotation).toBe(9_100);
    expect(timeline([ACTIVE]).nextRotation).toBe(5_800);
    expect(timeline([PENDING])).toMatchObject({ nextRotation: null, keys: [{ signsFrom: NOW }] });
    expect(timeline([])).toEqual({ nextRotation: null, keys: [] });
  });

  test('ends a compromised key when it was compromised, and a key that never signed without signing times', () => {
    const compromised = { state: 'compromised', compromisedAt: 4_900 } as const;
    expect(only({ ...ACTIVE, ...compromised })).toMatchObject({ signsUntil: 4_900, verifiesUntil: 4_900 });
    expect(only({ ...RETIRING, ...compromised })).toMatchObject({ signsUntil: 4_800, verifiesUntil: 4_900 });
    expect(only({ ...RETIRED, ...compromised })).toMatchObject({ signsUntil: 2_100, verifiesUntil: 2_600 });
    expect(only({ ...PENDING, ...compromised })).toMatchObject({ signsFrom: null, signsUntil: null });
    const unused = only({ ...PENDING, state: 'retired', retiredAt: 4_990 });
    expect(unused).toMatchObject({ signsFrom: null, signsUntil: null, verifiesUntil: 4_990 });
  });

  test('lets a retiring key verify until it is retired, and a verify-only key without an end', () => {
    expect(only(RETIRING, 6_000)?.verifiesUntil).toBe(6_000);
    const verifyOnly = signingKey({ kid: 'old', state: 'retiring', createdAt: 4_000 });
    expect(only(verifyOnly)).toMatchObject({ verifyOnly: true, signsFrom: null, verifiesUntil: null });
    expect(only({ ...verifyOnly, verifyUntil: 7_000 })).toMatchObject({ verifiesUntil: 7_000 });
  });
});

describe('the phases of a key', () => {
  const phases = (key: SigningKey, others: SigningKey[] = []) =>
    phasesOf(timeline([key, ...others]).keys[0] as never).map(({ kind, from, until }) => [kind, from, until]);

  test('follow each other without gaps', () => {
    expect(phases(ACTIVE, [PENDING])).toEqual([
      ['published', 3_900, 4_800],
      ['signs', 4_800, 5_800],
      ['verifies', 5_800, 6_200],
    ]);
  });

  test('are left out if they are empty', () => {
    expect(phases({ ...ACTIVE, createdAt: 4_800 }).map(([kind]) => kind)).toEqual(['signs', 'verifies']);
    const compromised = { ...ACTIVE, state: 'compromised', compromisedAt: 4_900 } as const;
    expect(phases(compromised).at(-1)).toEqual(['signs', 4_800, 4_900]);
  });

  test('of a key that never signs are one', () => {
    const verifyOnly = signingKey({ kid: 'old', state: 'retiring', createdAt: 4_000 });
    expect(phases(verifyOnly)).toEqual([['verifies', 4_000, null]]);
    expect(phases({ ...PENDING, state: 'retired', retiredAt: 4_990 })).toEqual([['published', 4_850, 4_990]]);
  });
});

describe('the time axis', () => {
  const axis = (keys: SigningKey[], isWhole = false) => {
    const { shown, ...ends } = timeAxis(timeline(keys), NOW, { isWhole });
    return { ...ends, kids: shown.map(({ kid }) => kid) };
  };

  test('begins when the oldest trusted key was published, and ends when the last key verifies', () => {
    const early = { ...RETIRED, kid: 'early', verifyUntil: 1_500, retiredAt: 1_900 };
    const all = [early, RETIRED, RETIRING, ACTIVE, PENDING];
    expect(axis(all)).toEqual({ from: 2_000, to: 7_200, kids: ['retired', 'retiring', 'active', 'pending'] });
    expect(axis(all, true)).toMatchObject({ from: 1_000, kids: all.map(({ kid }) => kid) });
  });

  test('shows all keys if none is trusted, and always contains now', () => {
    expect(axis([RETIRED])).toEqual({ from: 1_000, to: NOW, kids: ['retired'] });
    expect(axis([])).toEqual({ from: NOW, to: NOW + 1, kids: [] });
  });

  test('is stretched only a little by verify-only keys', () => {
    const verifyOnly = signingKey({ kid: 'old', state: 'retiring', createdAt: 4_000 });
    const to = (verifyUntil: number | null) => axis([{ ...verifyOnly, verifyUntil }, ACTIVE]);
    expect(to(null)).toEqual({ from: 3_900, to: 6_200, kids: ['old', 'active'] });
    expect(to(8_000)).toMatchObject({ to: 8_000 });
    expect(to(9_000)).toMatchObject({ to: 6_200 });
  });
});
