import Table from 'cli-table3';
import { afterEach, expect, test, vi } from 'vitest';
import { drawTable, FIRST_PART } from '../../../src/cli/output/table.js';

afterEach(() => {
  vi.restoreAllMocks();
});

test('uses cli-table3 only for the first rows, because its time grows with the square of their number', () => {
  const laidOut = vi.spyOn(Table.prototype, 'toString');
  const rows = Array.from({ length: 20_000 }, (_, number) => [`user-${number}`, 'enabled']);
  const lines = drawTable(['sub', 'status'], rows, { color: false, width: 80 }).split('\n');
  expect(lines).toHaveLength(rows.length + 1);
  expect(lines.at(-1)).toBe('user-19999  enabled');
  expect(laidOut.mock.contexts.map((table) => (table as unknown[]).length)).toEqual([FIRST_PART]);
});
