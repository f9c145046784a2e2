import { expect, test } from 'vitest';
import { rate, share, signed, size } from '../../../src/cli/output/number-format.js';
import { grouped, pluralize } from '../../../src/domain/shared/pluralize.js';

test('groups numbers by thousands', () => {
  expect([0, 999, 1_000, 1_234_567, 12_345_678].map(grouped)).toEqual([
    ...['0', '999', '1,000', '1,234,567', '12,345,678'],
  ]);
  expect([5, 0, -1_234].map(signed)).toEqual(['+5', '+0', '-1,234']);
  expect(pluralize(1, 'token')).toBe('1 token');
  expect(pluralize(1_000, 'entry', 'entries')).toBe('1,000 entries');
});

test.each([
  [0, 0, '0%'],
  [0, 5, '0%'],
  [5, 5, '100%'],
  [1, 3, '33.3%'],
  [1, 1_000, '0.1%'],
  [1, 1_001, '<0.1%'],
  [999_999, 1_000_000, '>99.9%'],
  [998, 1_000, '99.8%'],
])('%i of %i is %s', (part, whole, text) => {
  expect(share(part, whole)).toBe(text);
});

test('sizes have units', () => {
  expect([null, 0, 1_023, 1_024, 83 * 1_000_000, 5 * 1024 ** 4, 5 * 1024 ** 5].map(size)).toEqual([
    ...['-', '0 B', '1023 B', '1.0 KiB', '79.2 MiB', '5.0 TiB', '5120.0 TiB'],
  ]);
});

test('shows tenths only for rates below 10', () => {
  expect([0, 0.25, 9.96, 12.4, 1_234.5].map(rate)).toEqual(['0', '0.3', '10.0', '12', '1,235']);
});
