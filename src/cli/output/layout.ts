import stringWidth from 'string-width';
import { printable } from '../../domain/shared/text.js';
import type { Cell, Column, Text } from './view.js';

export interface FittedRows {
  shown: readonly number[];
  widths: readonly number[];
  rows: ReadonlyArray<readonly Text[]>;
  /** For every column, the width of its widest cell so far. */
  natural: readonly number[];
  kinds: readonly Kind[];
}

export const GAP = '  ';
const BAR_MIN = 8;
const BAR_MAX = 30;
const SHORTENED_MIN = 8;

/** Plain text gets its width first; shortened text and bars share the rest. Columns grow while all fit. */
export function fitRows(
  columns: readonly Column[],
  rows: ReadonlyArray<readonly Cell[]>,
  width: number,
  before?: FittedRows,
): FittedRows {
  const safe = rows.map((row) => row.map(printableCell));
  let natural = columns.map((column, index) => {
    let widest = before?.natural[index] ?? widthOf(printable(nameOf(column)));
    for (const row of safe) widest = Math.max(widest, widthOf(textOf(row[index] ?? '')));
    return widest;
  });
  const kinds = columns.map((column, index) => before?.kinds[index] ?? kindOf(column, safe, index));
  const leastOfAll = natural.map((text, index) => leastOf(kinds[index], text));
  const shown = before?.shown ?? mostImportant(columns, leastOfAll, width);
  let widths = shown.map((index) => leastOfAll[index] ?? 0);
  if (before !== undefined && total(widths) > width) {
    natural = [...before.natural];
    widths = [...before.widths];
  } else {
    let spare = width - total(widths);
    // Narrowest first, so that the others get the width that it does not need.
    const shortened = shown
      .map((_, place) => place)
      .filter((place) => kinds[shown[place] ?? 0] === 'shortened');
    const wish = (place: number) => natural[shown[place] ?? 0] ?? 0;
    shortened.sort((a, b) => wish(a) - wish(b));
    for (const [position, place] of shortened.entries()) {
      const fair = Math.floor(spare / (shortened.length - position));
      const more = Math.max(0, Math.min(fair, wish(place) - (widths[place] ?? 0)));
      widths[place] = (widths[place] ?? 0) + more;
      spare -= more;
    }
    const bar = shown.findIndex((index) => kinds[index] === 'bar');
    if (bar >= 0) widths[bar] = Math.min(BAR_MAX, BAR_MIN + Math.max(0, spare));
  }
  return {
    ...{ shown, widths, natural, kinds },
    rows: safe.map((row) => shown.map((index, place) => fitCell(row[index] ?? '', widths[place] ?? 0))),
  };
}

function mostImportant(columns: readonly Column[], least: readonly number[], width: number): number[] {
  const shown = columns.map((_, index) => index);
  while (shown.length > 1 && total(shown.map((index) => least[index] ?? 0)) > width) {
    const minor = shown.findLastIndex((index) => index > 0 && isMinor(columns[index]));
    shown.splice(minor === -1 ? shown.length - 1 : minor, 1);
  }
  return shown;
}

function isMinor(column: Column | undefined): boolean {
  return typeof column === 'object' && column.isMinor === true;
}

export function isFitted(columns: readonly Column[]): boolean {
  return columns.some((column) => typeof column !== 'string');
}

export function nameOf(column: Column): string {
  return typeof column === 'string' ? column : column.name;
}

/** Returns the width on a terminal, in columns. ASCII text needs no measuring. */
export function widthOf(text: string): number {
  return /^[\x20-\x7e]*$/.test(text) ? text.length : stringWidth(text);
}

/** Shortens text in the middle, because most ids differ at an end. */
export function shorten(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  const characters = [...text];
  const head = Math.ceil((width - 1) / 2);
  return `${take(characters, head)}…${take(characters.reverse(), width - 1 - head, true)}`;
}

export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of printable(text).split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && stringWidth(`${last} ${word}`) <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(shorten(word, width));
  }
  return lines;
}

type Kind = 'plain' | 'shortened' | 'bar';

function kindOf(column: Column, rows: ReadonlyArray<readonly Cell[]>, index: number): Kind {
  if (rows.some((row) => isBar(row[index] ?? ''))) return 'bar';
  return typeof column !== 'string' && column.mayShorten === true ? 'shortened' : 'plain';
}

function leastOf(kind: Kind | undefined, natural: number): number {
  switch (kind) {
    case 'bar':
      return BAR_MIN;
    case 'shortened':
      return Math.min(natural, SHORTENED_MIN);
    default:
      return natural;
  }
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1);
}

function printableCell(cell: Cell): Cell {
  if (typeof cell === 'string') return printable(cell);
  return isBar(cell) ? cell : { ...cell, text: printable(cell.text) };
}

function fitCell(cell: Cell, width: number): Text {
  if (typeof cell === 'string') return shorten(cell, width);
  if (isBar(cell)) return drawBar(cell.bar, width);
  return { ...cell, text: shorten(cell.text, width) };
}

function textOf(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  return isBar(cell) ? '' : cell.text;
}

function isBar(cell: Cell): cell is { bar: number } {
  return typeof cell !== 'string' && 'bar' in cell;
}

/** Draws in eighths of a character, and at least one for a part above 0. */
function drawBar(part: number, width: number): string {
  if (part <= 0) return '';
  const eighths = Math.max(1, Math.round(Math.min(1, part) * width * 8));
  return '█'.repeat(Math.floor(eighths / 8)) + ('▏▎▍▌▋▊▉'[(eighths % 8) - 1] ?? '');
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
