import stringWidth from 'string-width';
import { printable } from '../domain/prose.js';
import type { Cell, Column, Text } from './view.js';

/** A table whose every line fits `width`, if anything can. */
export interface FittedTable {
  columns: readonly Column[];
  rows: ReadonlyArray<readonly Text[]>;
}

/** Between two columns. */
export const GAP = '  ';
const BAR_MIN = 8;
const BAR_MAX = 30;
const SHORTENED_MIN = 8;

/**
 * Gives each column its width: first to plain texts, then to those that may be shortened, and to bars what is left. Where
 * even that is too much, columns at the right are left out.
 */
export function fitTable(
  columns: readonly Column[],
  rows: ReadonlyArray<readonly Cell[]>,
  width: number,
): FittedTable {
  const kinds = columns.map((column, index) => kindOf(column, rows, index));
  const natural = columns.map((column, index) =>
    Math.max(stringWidth(nameOf(column)), ...rows.map((row) => stringWidth(textOf(row[index] ?? '')))),
  );
  const least = natural.map((text, index) => leastOf(kinds[index], text));
  let shown = columns.length;
  while (shown > 1 && total(least.slice(0, shown)) > width) shown -= 1;

  const widths = least.slice(0, shown);
  let spare = width - total(widths);
  // The narrowest first: what one of them does not need is left to the others.
  const shortened = widths.map((_, index) => index).filter((index) => kinds[index] === 'shortened');
  shortened.sort((a, b) => (natural[a] ?? 0) - (natural[b] ?? 0));
  for (const [position, index] of shortened.entries()) {
    const fair = Math.floor(spare / (shortened.length - position));
    const more = Math.max(0, Math.min(fair, (natural[index] ?? 0) - (widths[index] ?? 0)));
    widths[index] = (widths[index] ?? 0) + more;
    spare -= more;
  }
  const bar = widths.findIndex((_, index) => kinds[index] === 'bar');
  if (bar >= 0) widths[bar] = Math.min(BAR_MAX, BAR_MIN + Math.max(0, spare));
  return {
    columns: columns.slice(0, shown),
    rows: rows.map((row) => row.slice(0, shown).map((cell, index) => fitCell(cell, widths[index] ?? 0))),
  };
}

/** Whether a table is drawn to fit, or as wide as it is. */
export function isFitted(columns: readonly Column[]): boolean {
  return columns.some((column) => typeof column !== 'string');
}

export function nameOf(column: Column): string {
  return typeof column === 'string' ? column : column.name;
}

/** Keeps both ends: ids that differ at all mostly differ there. */
export function shorten(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  const characters = [...text];
  const head = Math.ceil((width - 1) / 2);
  return `${take(characters, head)}…${take(characters.reverse(), width - 1 - head, true)}`;
}

/** Text in lines of at most `width`, broken between words. */
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

function fitCell(cell: Cell, width: number): Text {
  if (typeof cell === 'string') return shorten(printable(cell), width);
  if (isBar(cell)) return drawBar(cell.bar, width);
  return { ...cell, text: shorten(printable(cell.text), width) };
}

function textOf(cell: Cell): string {
  if (typeof cell === 'string') return printable(cell);
  return isBar(cell) ? '' : printable(cell.text);
}

function isBar(cell: Cell): cell is { bar: number } {
  return typeof cell !== 'string' && 'bar' in cell;
}

/** In eighths of a character; what is not nothing is seen. */
function drawBar(part: number, width: number): string {
  if (part <= 0) return '';
  const eighths = Math.max(1, Math.round(Math.min(1, part) * width * 8));
  return '█'.repeat(Math.floor(eighths / 8)) + ('▏▎▍▌▋▊▉'[(eighths % 8) - 1] ?? '');
}

/** As many of the characters as fit. */
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
