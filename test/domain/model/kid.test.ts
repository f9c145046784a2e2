import { describe, expect, test } from 'vitest';
import { isKid, kidArgument, kidFileName, parseKid } from '../../../src/domain/model/kid.js';
import { FOREIGN_KIDS } from '../../support/foreign-kids.js';

describe('a kid', () => {
  test.each(FOREIGN_KIDS)('may be %j', (text) => {
    expect(isKid(text)).toBe(true);
    expect(parseKid(text)).toBe(text);
  });

  test.each(['', 'a\n', '\na', 'a\u0000', '\u0085', '\u007f', '\ud800', 'x'.repeat(256), 'é'.repeat(128)])(
    'cannot be %j',
    (text) => {
      expect(isKid(text)).toBe(false);
      expect(() => parseKid(text)).toThrow(
        expect.objectContaining({ kind: 'usage', code: 'ERR_KID_INVALID' }),
      );
    },
  );

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

test('an argument of a command is quoted where a shell needs it', () => {
  expect(['2026-q1', 'did:web:a#k1', "it's $(id)", '-x', '- x'].map(kidArgument)).toEqual([
    ...['2026-q1', "'did:web:a#k1'", "'it'\\''s $(id)'", '-- -x', "-- '- x'"],
  ]);
});

test.each(FOREIGN_KIDS)('the file name of %j stays in its folder and is no option', (kid) => {
  expect(kidFileName(kid)).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/);
});
