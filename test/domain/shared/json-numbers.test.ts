import { describe, expect, test } from 'vitest';
import {
  assertExactNumbers,
  assertExactValue,
  parseSpelled,
  stringifySpelled,
} from '../../../src/domain/shared/json-numbers.js';

/** IDs of Snowflake, Twitter, and other generators from public bug reports, and the edges of a double. */
const INEXACT = [
  ...['1147953659032899584', '100002348117421473', '281674916028284930', '738529527931269425'],
  ...['9007199254740993', '-9007199254740993', '9007199254740992', '10000000000000000000'],
  ...[
    '1e400',
    '-1e400',
    '1e-400',
    '1e22',
    '0.1234567890123456789',
    '0.10000000000000001',
    '1.7976931348623159e308',
  ],
];
const EXACT = [
  ...['0', '-0', '1', '-1', '1.0', '1.50', '15e-1', '1E3', '1e+3', '0.0', '0e5', '100'],
  ...['9007199254740991', '-9007199254740991', '0.1', '0.30000000000000004', '1700000000.123', '5e-324'],
];

const thrown = (action: () => void): unknown => {
  try {
    action();
  } catch (error) {
    return error;
  }
  return null;
};

describe('numbers in a JSON text', () => {
  test.each(INEXACT)('refuses %s alone and in depth', (number) => {
    for (const json of [number, `{"a":[{"b":${number}}]}`, ` [ ${number} ] `, `{"\\"1":1,"x":${number}}`]) {
      const error = thrown(() => assertExactNumbers(json, 'The line'));
      expect(error).toMatchObject({
        code: 'ERR_NUMBER_INEXACT',
        hint: `Write the number as a string: "${number}"`,
      });
    }
  });

  test.each(EXACT)('accepts %s', (number) => {
    expect(thrown(() => assertExactNumbers(`{"a":[${number}]}`, 'The line'))).toBeNull();
  });

  test.each(INEXACT)('accepts %s in a string or a name', (number) => {
    for (const json of [
      `"${number}"`,
      `{"${number}":1}`,
      `{"a":"x\\\\\\"${number}"}`,
      `["\\\\","${number}"]`,
    ]) {
      expect(thrown(() => assertExactNumbers(json, 'The line'))).toBeNull();
    }
  });
});

describe('numbers of a program', () => {
  test.each([1n, 2n ** 64n, Number.NaN, Number.POSITIVE_INFINITY, -1 / 0, 2 ** 53, -(2 ** 60), 1e22, 1e308])(
    'refuses %s alone and in depth',
    (value) => {
      for (const claim of [value, [value], { a: { b: [1, value] } }, { toJSON: () => value }]) {
        const error = thrown(() => assertExactValue(claim, 'The claim id'));
        expect(error).toMatchObject({ code: 'ERR_NUMBER_INEXACT' });
      }
    },
  );

  test.each([0, -1, 0.1, 2 ** 53 - 1, 1e-300, '1147953659032899584', null, true, [], {}, undefined])(
    'accepts %j',
    (value) => {
      expect(thrown(() => assertExactValue(value, 'The claim id'))).toBeNull();
    },
  );
});

test.each([...INEXACT, ...EXACT])('the digits of %s survive parsing and writing', (number) => {
  const json = `{"a":[${number}],"s":"${number}","n":{"${number}":${number}}}`;
  expect(stringifySpelled(parseSpelled(json))).toBe(json.replaceAll(/\s/g, ''));
});
