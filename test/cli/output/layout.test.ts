import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import { shorten, wrap } from '../../../src/cli/output/layout.js';
import {
  drawFields,
  drawSections,
  drawTable,
  FIRST_PART,
  tableInParts,
} from '../../../src/cli/output/table.js';
import type { Cell, Column } from '../../../src/cli/output/view.js';

const COLUMNS: Column[] = [
  { name: 'kid', mayShorten: true },
  'state',
  { name: 'tokens', align: 'right' },
  '',
];
const KID = 'J5JbT7Qg9B76A3RDwxF6xZ_8pUPLhE9BvaDycUUj580';
const ROWS: Cell[][] = [
  [KID, 'active', '1,000,000', { bar: 1 }],
  ['2026-q1', { text: 'compromised', tone: 'bad' }, '12', { bar: 0.000_012 }],
  ['none', 'retired', '0', { bar: 0 }],
];

function draw(width: number, rows = ROWS, columns = COLUMNS): string[] {
  return drawTable(columns, rows, { color: false, width }).split('\n');
}

describe('a table that fits', () => {
  test('shows every column if there is room, with numbers aligned right and bars at full width', () => {
    expect(draw(120)).toEqual([
      'KID                                          STATE           TOKENS',
      `${KID}  active       1,000,000  ${'█'.repeat(51)}`,
      '2026-q1                                      compromised         12  ▏',
      'none                                         retired              0',
    ]);
  });

  test('makes bars narrower first, and then shortens text', () => {
    expect(draw(80)[1]).toBe(`${KID}  active       1,000,000  ${'█'.repeat(11)}`);
    expect(draw(60)[1]).toBe(`J5JbT7Qg9B76A…BvaDycUUj580  active       1,000,000  ${'█'.repeat(8)}`);
  });

  test.each([200, 100, 80, 60, 50, 40, 30, 24])('is at most %i columns wide', (width) => {
    const wide: Cell[][] = [
      ...ROWS,
      ['鍵'.repeat(40), 'active', '7', { bar: 0.5 }],
      ['👩‍🚀'.repeat(9), 'x', '8', ''],
    ];
    const lines = draw(width, wide);
    expect(Math.max(...lines.map((line) => stringWidth(line)))).toBeLessThanOrEqual(width);
    expect(lines).toHaveLength(wide.length + 1);
  });

  test('drops columns at the right rather than wrap a line', () => {
    expect(draw(24)[0]).toBe('KID          STATE');
  });

  test('draws bars in eighths, and at least one for a value above zero', () => {
    const bars = draw(
      120,
      [0, 0.001, 0.5, 0.99, 1].map((bar) => [{ bar }]),
      [{ name: 'x' }],
    ).slice(1);
    expect(bars).toEqual(['', '▏', '█'.repeat(60), `${'█'.repeat(118)}▊`, '█'.repeat(120)]);
  });

  test('shortens even plain text if only the first column is left', () => {
    expect(draw(20, [['x'.repeat(50), 'y']], ['a', 'b'])).toEqual([
      'A',
      `${'x'.repeat(10)}…${'x'.repeat(9)}`,
    ]);
  });

  test('draws bars in 30 characters in a pipe', () => {
    const options = { color: false, width: null };
    expect(drawTable(['a', ''], [['x', { bar: 1 }]], options)).toBe(`A\nx  ${'█'.repeat(30)}`);
  });

  test('shows every column and the whole text with isWide, and bars in the rest of the terminal', () => {
    const wide = (width: number) =>
      drawTable(COLUMNS, ROWS, { color: false, width, isWide: true }).split('\n')[1];
    expect(wide(40)).toBe(`${KID}  active       1,000,000  ${'█'.repeat(8)}`);
    expect(wide(120)).toBe(`${KID}  active       1,000,000  ${'█'.repeat(51)}`);
  });

  test('escapes control characters, and measures the escaped text', () => {
    const lines = draw(60, [['a\x1b[2Jb\n', 'active', '1', { bar: 1 }]]);
    expect(lines[1]).toBe(`a\\u001b[2Jb\\u000a  active       1  ${'█'.repeat(25)}`);
  });
});

describe('a table drawn in parts', () => {
  const columns: Column[] = [{ name: 'sub', mayShorten: true }, { name: 'count', align: 'right' }, 'status'];
  const row = (sub: string, count = '1'): Cell[] => [sub, count, { text: 'enabled', tone: 'good' }];

  test.each([null, 30])('looks the same below the first part (width %s)', (width) => {
    const rows = ['alice', '鍵', '👩‍🚀', 'e\u0301', 'x'.repeat(40)].map((sub, index) =>
      row(sub, `${index}0`),
    );
    const long = Array.from({ length: 40 }, () => rows).flat();
    const lines = drawTable(columns, long, { color: true, width }).split('\n').slice(1);
    expect(lines).toHaveLength(long.length);
    expect(lines.slice(FIRST_PART)).toEqual(lines.slice(0, FIRST_PART));
  });

  test('widens its columns for a later part', () => {
    const draw = tableInParts(columns, { color: false, width: null });
    expect(draw([row('alice')])).toBe('SUB    COUNT  STATUS\nalice      1  enabled');
    expect(draw([row('alice'), row('alice-and-bob')])).toBe(
      'alice              1  enabled\nalice-and-bob      1  enabled',
    );
  });

  test('fits the terminal and keeps its columns for later rows, but shows every digit of a number', () => {
    const draw = tableInParts(columns, { color: false, width: 24 });
    expect(draw([row('alice')])).toBe('SUB    COUNT  STATUS\nalice      1  enabled');
    expect(draw([row('a-very-long-subject')])).toBe('a-ve…ect      1  enabled');
    expect(draw([row('alice', '123456789')])).toBe('alice     123456789  enabled');
  });

  test('shows everything without a terminal', () => {
    const sub = 'x'.repeat(300);
    expect(drawTable(columns, [row(sub)], { color: false, width: null })).toContain(`${sub}      1  enabled`);
  });

  test('leaves out the least important columns first, and before an ID gets short', () => {
    const named: Column[] = [
      { name: 'kid', mayShorten: true },
      { name: 'alg', importance: 2 },
      { name: 'bits', importance: 1 },
      'state',
    ];
    const cells = [['0123456789abcdef', 'RS256', '2048', 'active']];
    const heads = [34, 33, 28, 27, 21, 20, 16, 15].map((width) =>
      drawTable(named, cells, { color: false, width }).split('\n').join(' ').split(/ +/).join(' '),
    );
    expect(heads).toEqual([
      'KID ALG BITS STATE 012345…abcdef RS256 2048 active',
      'KID ALG STATE 0123456789abcdef RS256 active',
      'KID ALG STATE 012345…abcdef RS256 active',
      'KID STATE 0123456789abcdef active',
      'KID STATE 012345…abcdef active',
      'KID STATE 012345…bcdef active',
      'KID STATE 0123…def active',
      'KID 0123456…9abcdef',
    ]);
  });
});

test.each([
  { text: 'short', width: 10, short: 'short' },
  { text: '0123456789', width: 10, short: '0123456789' },
  { text: '0123456789', width: 9, short: '0123…6789' },
  { text: '0123456789', width: 4, short: '01…9' },
  { text: '日本語日本語', width: 7, short: '日…語' },
  { text: '0123456789', width: 1, short: '…' },
])('$text in $width columns is $short', ({ text, width, short }) => {
  expect(shorten(text, width)).toBe(short);
  expect(stringWidth(short)).toBeLessThanOrEqual(width);
});

test('wraps text between words, and shortens a word that is too long', () => {
  expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
  expect(wrap(`a ${'x'.repeat(30)} b`, 10)).toEqual(['a', 'xxxxx…xxxx', 'b']);
});

test('continues a line below its text, indented', () => {
  expect(wrap('✓ one two three', 9)).toEqual(['✓ one two', '  three']);
  expect(wrap('  one two', 9)).toEqual(['  one two']);
  expect(wrap('  one two three', 11)).toEqual(['  one two', '    three']);
  expect(wrap(`  ${'x'.repeat(30)}`, 12)).toEqual(['  xxxx…xxx']);
  // Too narrow to indent.
  for (const line of wrap('    one two', 5)) expect(line.length).toBeLessThanOrEqual(5);
});

describe('sections', () => {
  const empty = { columns: ['a'], rows: [] };

  test('have a title and an empty line between them; an empty table is omitted unless it is the first', () => {
    const drawn = drawSections(
      [
        { title: 'First', ...empty },
        { title: 'Omitted', ...empty },
        { title: 'Title only', columns: [], rows: [] },
        { title: 'Last', lines: ['one', { text: 'two', tone: 'bad' }], columns: ['a'], rows: [['1']] },
      ],
      { color: false, width: 80 },
    );
    expect(drawn).toBe('First\n\nTitle only\n\nLast\none\ntwo\nA\n1\n');
  });
});

test('a record continues long text below its value, and keeps long words whole', () => {
  const id = 'x'.repeat(40);
  const fields = [
    ['sub', id],
    ['why', 'one two three four five six'],
  ] as const;
  expect(drawFields(fields, { color: false, width: 25 })).toBe(
    `sub  ${id}\nwhy  one two three four\n     five six`,
  );
  expect(drawFields(fields, { color: false, width: null })).toBe(
    `sub  ${id}\nwhy  one two three four five six`,
  );
});
