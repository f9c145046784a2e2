import { describe, expect, test } from 'vitest';
import { drawTable } from '../../../src/cli/output/table.js';
import type { Graph, Spans } from '../../../src/cli/output/view.js';

const DAY = 86_400;

/** Draws one graph in a table of this width. */
function draw(graph: Graph, width: number, color = false): string {
  return drawTable([''], [[graph]], { color, width }).split('\n')[1] ?? '';
}

describe('a line of a time axis', () => {
  const life = (published: number, signs: number, verifies: number, until: number | null) => [
    { from: published, until: signs, character: '·' },
    { from: signs, until: verifies, character: '#' },
    { from: verifies, until, character: '-' },
  ];
  const line = (spans: Spans['spans'], others: Partial<Spans> = {}) =>
    draw({ spans, now: 0.5, ...others }, 40);

  test('shows each span at its place, and now above them', () => {
    expect(line(life(0, 0.25, 0.75, 1))).toBe(
      `${'·'.repeat(10)}${'#'.repeat(10)}│${'#'.repeat(9)}${'-'.repeat(10)}`,
    );
    expect(line(life(0.75, 0.8, 0.9, 0.95))).toBe(`${' '.repeat(20)}│${' '.repeat(9)}··####--`);
  });

  test('shows even the shortest span, at either end of the axis', () => {
    expect(line(life(0, 0.0001, 0.0002, 0.0003))).toBe(`·#-${' '.repeat(17)}│`);
    expect(line(life(0.9997, 0.9998, 0.9999, 1))).toBe(`${' '.repeat(20)}│${' '.repeat(16)}·#-`);
  });

  test('cuts what lies before the axis, and points to an end that lies after it', () => {
    expect(line(life(-2, -1, 0.25, null))).toBe(`${'#'.repeat(10)}${'-'.repeat(10)}│${'-'.repeat(18)}→`);
    expect(line(life(-2, -1, -0.5, 0.1))).toBe(`----${' '.repeat(16)}│`);
  });

  test('marks where it ends', () => {
    const end = { text: '✗', tone: 'bad' } as const;
    expect(line([{ from: 0.25, until: 0.3, character: '#' }], { end })).toBe(
      `${' '.repeat(10)}##✗${' '.repeat(7)}│`,
    );
    expect(line([{ from: 0.25, until: 1, character: '#' }], { end }).at(-1)).toBe('✗');
  });

  test('has one color code per span', () => {
    const spans = [{ from: 0, until: 0.25, character: '#', tone: 'good' as const }];
    expect(draw({ spans, now: 0.5 }, 40, true)).toBe(`\x1b[32m${'#'.repeat(10)}\x1b[39m${' '.repeat(10)}│`);
  });
});

describe('the dates of a time axis', () => {
  const from = Date.UTC(2026, 10, 15) / 1000;
  const dates = (days: number, width: number) => draw({ dates: { from, to: from + days * DAY } }, width);

  test('are round, and as many as fit', () => {
    expect(dates(90, 40)).toBe(`${' '.repeat(21)}╷2027-01-01`);
    expect(dates(90, 80)).toBe(
      `${' '.repeat(14)}╷2026-12-01                 ╷2027-01-01                ╷2027-02-01`,
    );
    expect(dates(20, 60)).toBe('   ╷2026-11-16          ╷2026-11-23          ╷2026-11-30');
    expect(dates(1, 60)).toBe('╷11-15 00:00   ╷11-15 06:00   ╷11-15 12:00   ╷11-15 18:00');
  });

  test.each([0.01, 0.3, 1, 5, 33, 90, 400, 5_000, 30_000])('do not overlap on an axis of %s days', (days) => {
    for (const width of [22, 48, 108, 200]) {
      const line = dates(days, width);
      expect(line.length).toBeLessThanOrEqual(width);
      expect(line.replace(/╷(\d{4}-\d\d-\d\d|\d\d-\d\d \d\d:\d\d)( |$)/g, '').trim()).toBe('');
    }
  });

  test('are left out on an axis that is too long for any', () => {
    expect(dates(100_000_000, 40)).toBe('');
  });
});

test('a pointer has its text at the side that has room for it', () => {
  expect(draw({ pointer: { at: 0, text: 'now' } }, 30)).toBe('▲ now');
  expect(draw({ pointer: { at: 0.5, text: 'next rotation' } }, 30)).toBe(`${' '.repeat(15)}▲ next rotation`);
  expect(draw({ pointer: { at: 1, text: 'next rotation' } }, 30)).toBe(`${' '.repeat(15)}next rotation ▲`);
  expect(draw({ pointer: { at: 0.5, text: 'x'.repeat(30) } }, 30)).toBe(`${' '.repeat(15)}▲`);
});

test('a sparkline shows the latest values at the right, and draws only 0 as 0', () => {
  expect(draw({ sparkline: [0, 0.1, null, 50, 100] }, 8)).toBe('   ▁▂ ▅█');
  expect(draw({ sparkline: [9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 7] }, 8)).toBe('▂▃▄▅▅▆▇▇');
  expect(draw({ sparkline: [0, 0] }, 8)).toBe('      ▁▁');
});

test('a column grows no wider than its limit, except with isWide', () => {
  const columns = [{ name: 'kid', mayShorten: true, most: 9 }];
  const table = (isWide: boolean) =>
    drawTable(columns, [['0123456789abcdef']], { color: false, width: 80, isWide }).split('\n')[1];
  expect([table(false), table(true)]).toEqual(['0123…cdef', '0123456789abcdef']);
});
