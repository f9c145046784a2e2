import { expect, test } from 'vitest';
import { describeClaim, describeValue, typeName } from '../../../src/domain/shared/describe-value.js';

test.each([
  [undefined, 'missing', 'missing'],
  [null, 'null', 'null'],
  [3, 'a number', 'a number (3)'],
  [3n, 'a bigint', 'a bigint (3)'],
  [true, 'a boolean', 'a boolean (true)'],
  ['a"b\n', 'a string', 'a string ("a\\"b\\n")'],
  ['', 'a string', 'a string ("")'],
  [['secret'], 'an array', 'an array'],
  [{ secret: 1 }, 'an object', 'an object'],
] as const)('of %s the type and the value are named', (value, type, description) => {
  expect(typeName(value)).toBe(type);
  expect(describeValue(value)).toBe(description);
});

test('a long string is shortened', () => {
  expect(describeValue('x'.repeat(300))).toBe(`a string ("${'x'.repeat(59)}…)`);
});

test('no text of a token is shown', () => {
  expect(describeClaim('secret')).toBe('a string of another form');
  expect(describeClaim(3)).toBe('a number (3)');
});

test('no digits are shown that parsing may have changed', () => {
  for (const json of ['1147953659032899584', '-9007199254740993', '1e400'])
    expect(describeClaim(JSON.parse(json))).toBe('a number beyond 2^53');
});
