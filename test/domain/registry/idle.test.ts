import { describe, expect, test } from 'vitest';
import { idleSeconds, isTouchDue, lastUse } from '../../../src/domain/registry/idle.js';

const NOW = 1_700_000_000;

describe('idleSeconds', () => {
  test.each([
    { ago: 599, expected: undefined },
    { ago: 600, expected: 600 },
    { ago: 90_000, expected: 90_000 },
    { ago: -30, expected: undefined },
  ])('with a timeout of 600 s, a token last seen $ago s ago is idle for $expected', ({ ago, expected }) => {
    expect(idleSeconds(NOW - ago, 600, NOW)).toBe(expected);
  });

  test('is undefined without a timeout, and for a token that was never seen', () => {
    expect(idleSeconds(0, null, NOW)).toBeUndefined();
    expect(idleSeconds(undefined, 600, NOW)).toBeUndefined();
  });
});

describe('isTouchDue', () => {
  test('is true after a tenth of the timeout, and for a token that was never seen', () => {
    const at = (ago: number, timeout = 600) => isTouchDue(NOW - ago, timeout, NOW);
    expect([at(0), at(59), at(60), at(600), at(-5)]).toEqual([false, false, true, true, false]);
    expect([at(1, 15), at(2, 15)]).toEqual([false, true]);
    expect([isTouchDue(undefined, 600, NOW), isTouchDue(undefined, null, NOW)]).toEqual([true, false]);
  });
});

describe('lastUse', () => {
  const HOUR = 3600;
  const policy = { idleTimeoutSeconds: 600, clockToleranceSeconds: 5 };
  const use = (lastSeen: number | undefined, serverStartedAt?: number | null) =>
    lastUse({ lastSeen, serverStartedAt }, policy, NOW);

  test('is the stored one', () => {
    expect([use(NOW - 60), use(NOW - 60, null), use(NOW - 60, NOW - 61), use(undefined, NOW)]).toEqual([
      ...[NOW - 60, NOW - 60, NOW - 60],
      undefined,
    ]);
  });

  test.each([
    { stored: 1, expected: 0 },
    { stored: HOUR, expected: 0 },
    { stored: HOUR + 599, expected: 0 },
    { stored: HOUR + 600, expected: HOUR + 600 },
    { stored: 9 * HOUR, expected: 9 * HOUR },
  ])('after a restart, for one stored $stored s before it, is $expected s before it', (given) => {
    const startedAt = NOW - 30;
    expect(use(startedAt - given.stored, startedAt)).toBe(startedAt - given.expected);
  });

  test('is never in the future', () => {
    expect([use(NOW + 5), use(NOW + 6), use(NOW - 60, NOW + 90)]).toEqual([NOW + 5, undefined, NOW]);
  });
});
