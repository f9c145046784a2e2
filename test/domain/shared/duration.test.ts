import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../../src/domain/shared/duration.js';

describe('parseDuration', () => {
  test.each([
    ['1', 1],
    ['90', 90],
    ['90s', 90],
    ['15m', 900],
    ['12h', 43_200],
    ['30d', 2_592_000],
    ['1h30m', 5_400],
    ['1d2h3m4s', 93_784],
    ['0h5m', 300],
    ['007s', 7],
    [`${Number.MAX_SAFE_INTEGER}`, Number.MAX_SAFE_INTEGER],
  ])('reads %s as %i seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  test.each([
    ...[
      '',
      ' ',
      '0',
      '0s',
      '0d0h',
      '-1',
      '-5m',
      '+5',
      '1.5',
      '1.5h',
      '1,5',
      '1e3',
      '0x10',
      'Infinity',
      'NaN',
    ],
    ...[
      's',
      'h',
      '5w',
      '5y',
      '5ms',
      '5M',
      '5 m',
      ' 5m',
      '5m ',
      '5m\n',
      '30m1h',
      '1h1h',
      '1m30',
      'P1D',
      '1:30',
    ],
    ...['9007199254740992', '99999999999999999999d', '५s', '٥', '5ｍ'],
  ])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow(
      expect.objectContaining({ kind: 'usage', code: 'ERR_DURATION_INVALID' }),
    );
  });
});

describe('formatDuration', () => {
  test.each([
    [0, '0s'],
    [1, '1s'],
    [60, '1m'],
    [5_400, '1h30m'],
    [86_400, '1d'],
    [93_784, '1d2h3m4s'],
    [86_401, '1d1s'],
  ])('writes %i as %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

test('parseDuration reads what formatDuration writes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (seconds) => {
      expect(parseDuration(formatDuration(seconds))).toBe(seconds);
    }),
  );
});

test('parseDuration returns whole seconds, at least 1', () => {
  const texts = fc.stringMatching(/^(\d{1,20}[dhms]?){1,5}$/);
  fc.assert(
    fc.property(texts, (text) => {
      try {
        const seconds = parseDuration(text);
        expect(Number.isSafeInteger(seconds) && seconds >= 1).toBe(true);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_DURATION_INVALID' });
      }
    }),
  );
});
