import stringWidth from 'string-width';
import { printable } from '../../domain/shared/text.js';
import { type Drawn, drawGraph, isGraph, leastWidth } from './graphs.js';
import type { Cell, Column } from './view.js';

export interface FittedRows {
  shown: readonly number[];
  widths: readonly number[];
  rows: ReadonlyArray<readonly Drawn[]>;
  /** For every column, the width of its widest cell so far. */
  natural: readonly number[];
  kinds: readonly Kind[];
}

export const GAP = '  ';
const BAR_IN_PIPE = 30;
const SHORTENED_MIN = 8;
/** Fewer columns are not worth an indentation. */
const LEAST_ROOM = 6;
/** Columns with an `importance` are left out before shortened text gets narrower than this. */
const SHORTENED_READABLE = 13;

/**
 * Plain text gets its width first; shortened text and graphs share the rest. Columns grow while all fit.
 * @param width of the terminal; null for a pipe
 * @param isWide whether to show every column and the whole text, even if they do not fit
 */
export function fitRows(
  columns: readonly Column[],
  rows: ReadonlyArray<readonly Cell[]>,
  { width: screen, isWide = false }: { width: number | null; isWide?: boolean | undefined },
  before?: FittedRows,
): FittedRows {
  const width = screen === null || isWide ? Number.POSITIVE_INFINITY : screen;
  const safe = rows.map((row) => row.map(printableCell));
  let natural = columns.map((column, index) => {
    let widest = before?.natural[index] ?? widthOf(printable(nameOf(column)));
    for (const row of safe) widest = Math.max(widest, cellWidth(row[index] ?? ''));
    return isWide ? widest : Math.min(widest, mostOf(column));
  });
  const kinds = columns.map((column, index) => before?.kinds[index] ?? kindOf(column, safe, index));
  const widthsFor = (shortened: number) =>
    natural.map((text, index) => leastOf(kinds[index], text, shortened));
  const leastOfAll = widthsFor(SHORTENED_MIN);
  const shown =
    before?.shown ??
    mostImportant(columns, { least: leastOfAll, readable: widthsFor(SHORTENED_READABLE), width });
  const least = shown.map((index) => leastOfAll[index] ?? 0);
  const isTooWide = before !== undefined && total(least) > width;
  if (isTooWide) natural = [...before.natural];
  const widths = isTooWide
    ? before.widths
    : grownWidths(
        shown.map((index, place) => ({
          kind: kinds[index] ?? 'plain',
          least: least[place] ?? 0,
          natural: natural[index] ?? 0,
        })),
        { width, screen },
      );
  return {
    ...{ shown, widths, natural, kinds },
    rows: safe.map((row) =>
      shown.map((index, place) => fitCell(row[index] ?? '', widths[place] ?? 0, columns[index] ?? '')),
    ),
  };
}

interface ColumnWidth {
  kind: Kind;
  least: number;
  natural: number;
}

/** Lets shortened text grow up to its full width, and a graph take the rest of the terminal. */
function grownWidths(
  columns: readonly ColumnWidth[],
  { width, screen }: { width: number; screen: number | null },
): number[] {
  const widths = columns.map(({ least }) => least);
  let spare = width - total(widths);
  const shortened = columns.map((_, place) => place).filter((place) => columns[place]?.kind === 'shortened');
  const wish = (place: number) => columns[place]?.natural ?? 0;
  // Narrowest first, so that the others get the width that it does not need.
  shortened.sort((a, b) => wish(a) - wish(b));
  for (const [position, place] of shortened.entries()) {
    const fair = Math.floor(spare / (shortened.length - position));
    const more = Math.max(0, Math.min(fair, wish(place) - (widths[place] ?? 0)));
    widths[place] = (widths[place] ?? 0) + more;
    spare -= more;
  }
  const graph = columns.findIndex(({ kind }) => kind === 'graph');
  if (graph >= 0) {
    widths[graph] =
      screen === null ? BAR_IN_PIPE : (widths[graph] ?? 0) + Math.max(0, screen - total(widths));
  }
  // The first column always stays.
  return columns.length > 1 ? widths : widths.map((only) => Math.min(width, only));
}

function mostImportant(
  columns: readonly Column[],
  { least, readable, width }: { least: readonly number[]; readable: readonly number[]; width: number },
): number[] {
  const shown = columns.map((_, index) => index);
  const isTooWide = (widths: readonly number[]) => total(shown.map((index) => widths[index] ?? 0)) > width;
  while (isTooWide(readable)) {
    const place = leastImportant(columns, shown);
    if (place < 1) break;
    shown.splice(place, 1);
  }
  while (shown.length > 1 && isTooWide(least)) shown.pop();
  return shown;
}

/** Returns the place of the column to leave out first; -1 if none has an `importance`. */
function leastImportant(columns: readonly Column[], shown: readonly number[]): number {
  const ranks = shown.map((index) => importanceOf(columns[index] ?? ''));
  const lowest = Math.min(...ranks);
  return lowest === Number.POSITIVE_INFINITY ? -1 : ranks.lastIndexOf(lowest);
}

function importanceOf(column: Column): number {
  return typeof column === 'string'
    ? Number.POSITIVE_INFINITY
    : (column.importance ?? Number.POSITIVE_INFINITY);
}

export type Align = 'left' | 'right';

export function alignOf(column: Column): Align {
  return typeof column !== 'string' && column.align === 'right' ? 'right' : 'left';
}

export function nameOf(column: Column): string {
  return typeof column === 'string' ? column : column.name;
}

function mostOf(column: Column): number {
  return typeof column === 'string' ? Number.POSITIVE_INFINITY : (column.most ?? Number.POSITIVE_INFINITY);
}

/** Returns the width on a terminal, in columns. ASCII text, even if shortened, needs no measuring. */
export function widthOf(text: string): number {
  return /^[\x20-\x7e…]*$/.test(text) ? text.length : stringWidth(text);
}

/** Shortens text in the middle, because most ids differ at an end. */
export function shorten(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  const characters = [...text];
  const head = Math.ceil((width - 1) / 2);
  return `${take(characters, head)}…${take(characters.reverse(), width - 1 - head, true)}`;
}

/**
 * Breaks text between words. Further lines are indented below the text after a sign, or two columns more than an
 * indented first line, unless that leaves little room. A word that is longer than a line is shortened.
 */
export function wrap(text: string, width: number): string[] {
  const safe = printable(text);
  if (widthOf(safe) <= width) return [safe];
  const [begin = ''] = /^ *([✓✗!–] )?/.exec(safe) ?? [];
  const indent = begin.trim() === '' && begin !== '' ? begin.length + 2 : begin.length;
  if (width - indent < LEAST_ROOM) return wrapWords(safe, width).map((line) => shorten(line, width));
  const hanging = ' '.repeat(indent);
  const room = width - indent;
  const [first = '', ...rest] = wrapWords(safe.slice(begin.length), room);
  return [begin + shorten(first, room), ...rest.map((line) => hanging + shorten(line, room))];
}

/** Breaks text between words. A word that is longer than a line stays whole. */
export function wrapWords(text: string, width: number): string[] {
  const safe = printable(text);
  if (widthOf(safe) <= width) return [safe];
  const lines: string[] = [];
  for (const word of safe.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(`${last} ${word}`) <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

type Kind = 'plain' | 'shortened' | 'graph';

function kindOf(column: Column, rows: ReadonlyArray<readonly Cell[]>, index: number): Kind {
  if (rows.some((row) => isGraph(row[index] ?? ''))) return 'graph';
  return typeof column !== 'string' && column.mayShorten === true ? 'shortened' : 'plain';
}

function leastOf(kind: Kind | undefined, natural: number, shortened: number): number {
  return kind === 'shortened' ? Math.min(natural, shortened) : natural;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1);
}

function printableCell(cell: Cell): Cell {
  if (typeof cell === 'string') return printable(cell);
  return isGraph(cell) ? cell : { ...cell, text: printable(cell.text) };
}

function fitCell(cell: Cell, width: number, column: Column): Drawn {
  // A number that lacks digits is wrong, so its row may be too long instead.
  const textFor = (text: string) => (alignOf(column) === 'right' ? text : shorten(text, width));
  if (typeof cell === 'string') return textFor(cell);
  if (isGraph(cell)) return drawGraph(cell, width);
  return { ...cell, text: textFor(cell.text) };
}

function cellWidth(cell: Cell): number {
  if (typeof cell === 'string') return widthOf(cell);
  return isGraph(cell) ? leastWidth(cell) : widthOf(cell.text);
}

function take(characters: readonly string[], width: number, reversed = false): string {
  const taken: string[] = [];
  let used = 0;
  for (const character of characters) {
    used += stringWidth(character);
    if (used > width) break;
    taken.push(character);
  }
  return (reversed ? taken.reverse() : taken).join('');
}
