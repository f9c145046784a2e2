import { describe, expect, test } from 'vitest';
import { isKid, parseKid } from '../../../src/domain/model/kid.js';

describe('a kid', () => {
  test.each([
    ...['a', 'Z', '0', '2024-01', 'k.1_2-3', 'a-', 'a_', 'a.', 'x'.repeat(128)],
    'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
  ])('may be %s', (text) => {
    expect(isKid(text)).toBe(true);
    expect(parseKid(text)).toBe(text);
  });

  test.each([
    ...[
      '',
      '-a',
      '_a',
      '.a',
      ' a',
      'a ',
      'a b',
      'a\n',
      '\na',
      'a/b',
      '../a',
      'a\\b',
      'a:b',
      'a*',
      '{a}',
      "a'b",
      'é',
    ],
    ...['a\u0000', 'ａ', 'x'.repeat(129)],
  ])('cannot be %j', (text) => {
    expect(isKid(text)).toBe(false);
    expect(() => parseKid(text)).toThrow(expect.objectContaining({ kind: 'usage', code: 'ERR_KID_INVALID' }));
  });

  test.each([null, undefined, 5, true, ['a'], { kid: 'a' }])(
    'cannot be %j, which is not a string',
    (value) => {
      expect(isKid(value)).toBe(false);
    },
  );
});

test('a refusal escapes the control characters of the kid', () => {
  expect(() => parseKid('\u001b[31m')).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining('\u001b') }),
  );
});
