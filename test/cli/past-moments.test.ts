import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { pastMomentFlag } from '../../src/cli/commands/shared/flags.js';

const NOW = Date.parse('2026-11-30T02:00:00Z') / 1000;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW * 1000 });
});
afterEach(() => {
  vi.useRealTimers();
});

test.each([
  ['now', NOW],
  ['2h', NOW - 7_200],
  ['1d12h', NOW - 129_600],
  ['2026-11-30T01:00:00Z', NOW - 3_600],
  // A number is a time, as everywhere, and not a duration.
  ['3600', 3_600],
])('--since %s', (text, expected) => {
  expect(pastMomentFlag('--since')(text)).toBe(expected);
});

test('names all forms', () => {
  expect(() => pastMomentFlag('--since')('yesterday')).toThrow(
    "--since is 'yesterday'; expected NumericDate seconds or a date such as 2026-01-31T12:00:00Z, now, or how long ago, such as 2h.",
  );
});
