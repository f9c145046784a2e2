import type { ChalkInstance } from 'chalk';
import Table from 'cli-table3';
import { printable } from '../../domain/shared/text.js';
import type { CompleteCommands } from '../given-flags.js';
import type { Drawn } from './graphs.js';
import {
  type Align,
  alignOf,
  type FittedRows,
  fitRows,
  GAP,
  nameOf,
  widthOf,
  wrap,
  wrapWords,
} from './layout.js';
import { colorOf, painter } from './tones.js';
import type { Cell, Column, Section, Text } from './view.js';

export interface TableOptions {
  color: boolean;
  /** The width of a line, in characters; null without a terminal, because nothing is fitted then. */
  width: number | null;
  /** Whether tables show all columns and the whole text, even if they do not fit. */
  isWide?: boolean;
  /** Completes the commands in titles, lines, and fields. */
  complete?: CompleteCommands | undefined;
}

export function drawTable(
  columns: readonly Column[],
  rows: ReadonlyArray<readonly Cell[]>,
  tableOptions: TableOptions,
): string {
  const draw = tableInParts(columns, tableOptions);
  const parts = [draw(rows.slice(0, FIRST_PART))];
  for (let from = FIRST_PART; from < rows.length; from += NEXT_PART)
    parts.push(draw(rows.slice(from, from + NEXT_PART)));
  return parts.join('\n');
}

/** The number of rows that are drawn together first. They set the column widths. */
export const FIRST_PART = 100;
export const NEXT_PART = 500;

/** Draws a table in parts. The first call of the returned function also draws the column names. */
export function tableInParts(
  columns: readonly Column[],
  { color, width, isWide }: TableOptions,
): (rows: ReadonlyArray<readonly Cell[]>) => string {
  const paint = painter(color);
  let fitted: FittedRows | undefined;
  return (rows) => {
    const isFirst = fitted === undefined;
    fitted = fitRows(columns, rows, { width, isWide }, fitted);
    const { shown, widths } = fitted;
    const aligns = shown.map((index) => alignOf(columns[index] ?? ''));
    // cli-table3 takes 0.1 ms per row and compares each row with all others: too slow for a long list.
    if (!isFirst) return fitted.rows.map((row) => padRow(row, widths, aligns, paint)).join('\n');
    const table = new Table({
      head: shown.map((index) => paint.bold(nameOf(columns[index] ?? '').toUpperCase())),
      colAligns: aligns,
      ...plain(),
      colWidths: [...widths],
    });
    for (const row of fitted.rows) table.push(row.map((cell) => drawCell(cell, paint)));
    return trimLines(table.toString());
  };
}

function padRow(
  row: readonly Drawn[],
  widths: readonly number[],
  aligns: readonly Align[],
  paint: ChalkInstance,
): string {
  const cells = row.map((cell, place) => {
    const padding = ' '.repeat(Math.max(0, (widths[place] ?? 0) - widthOf(plainOf(cell))));
    const drawn = drawCell(cell, paint);
    return aligns[place] === 'right' ? padding + drawn : drawn + padding;
  });
  return cells.join(GAP).trimEnd();
}

function plainOf(cell: Drawn): string {
  if (typeof cell === 'string') return cell;
  return 'text' in cell ? cell.text : cell.map(plainOf).join('');
}

export function drawSections(sections: readonly Section[], tableOptions: TableOptions): string {
  const paint = painter(tableOptions.color);
  return sections
    .filter(({ columns, rows }, index) => index === 0 || columns.length === 0 || rows.length > 0)
    .map(({ title, lines = [], columns, rows }) => {
      const heading =
        drawLines(title, tableOptions, paint.bold) +
        lines.map((line) => drawLines(line, tableOptions)).join('');
      return heading + (rows.length === 0 ? '' : `${drawTable(columns, rows, tableOptions)}\n`);
    })
    .join('\n');
}

function drawLines(
  text: Text,
  { color, width, complete = String }: TableOptions,
  usual = (line: string) => line,
): string {
  const paint = typeof text === 'string' ? usual : colorOf(text.tone, painter(color));
  const lines = wrap(complete(plainOf(text)), width ?? Number.POSITIVE_INFINITY);
  return lines.map((line) => `${paint(line)}\n`).join('');
}

/** Draws one field per line. Long text continues below, and no word is shortened. */
export function drawFields(
  fields: ReadonlyArray<readonly [string, Text]>,
  { color, width, complete = String }: TableOptions,
): string {
  const paint = painter(color);
  const names = fields.map(([name]) => printable(name));
  const column = Math.max(...names.map(widthOf)) + GAP.length;
  const room = width === null ? Number.POSITIVE_INFINITY : Math.max(VALUE_MIN, width - column);
  const lines = fields.flatMap(([, cell], index) => {
    const name = names[index] ?? '';
    const tone = typeof cell === 'string' ? String : colorOf(cell.tone, paint);
    const [first = '', ...rest] = wrapWords(complete(plainOf(cell)), room);
    const begin = paint.bold(name) + ' '.repeat(column - widthOf(name));
    return [begin + tone(first), ...rest.map((line) => ' '.repeat(column) + tone(line))];
  });
  return lines.map((line) => line.trimEnd()).join('\n');
}

const VALUE_MIN = 20;

function drawCell(cell: Drawn, paint: ChalkInstance): string {
  if (typeof cell === 'string') return printable(cell);
  return 'text' in cell
    ? colorOf(cell.tone, paint)(printable(cell.text))
    : cell.map((part) => drawCell(part, paint)).join('');
}

function plain(): Table.TableConstructorOptions {
  const ends = ['top', 'bottom'].flatMap((end) => [end, `${end}-mid`, `${end}-left`, `${end}-right`]);
  const lines = [...ends, 'left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'];
  return {
    chars: { ...Object.fromEntries(lines.map((line) => [line, ''])), middle: GAP },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  };
}

function trimLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
