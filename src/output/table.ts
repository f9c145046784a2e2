import { Chalk, type ChalkInstance } from 'chalk';
import Table from 'cli-table3';
import { printable } from '../domain/prose.js';
import { fitTable, GAP, isFitted, nameOf, wrap } from './layout.js';
import type { Cell, Column, Section, Text, Tone } from './view.js';

export interface Paper {
  color: boolean;
  /** Of a line, in characters. */
  width: number;
}

/** Rows under their columns' names, without lines between them: easy on the eyes, and on `awk`. */
export function drawTable(
  columns: readonly Column[],
  rows: ReadonlyArray<readonly Cell[]>,
  { color, width }: Paper,
): string {
  const paint = painter(color);
  const fitted = isFitted(columns) ? fitTable(columns, rows, width) : { columns, rows };
  const table = new Table({
    head: fitted.columns.map((column) => paint.bold(nameOf(column).toUpperCase())),
    colAligns: fitted.columns.map((column) =>
      typeof column !== 'string' && column.align === 'right' ? 'right' : 'left',
    ),
    ...plain(),
  });
  for (const row of fitted.rows) table.push(row.map((cell) => drawCell(cell, paint)));
  return trimLines(table.toString());
}

/** Tables under their titles, an empty line between any two. */
export function drawSections(sections: readonly Section[], paper: Paper): string {
  const paint = painter(paper.color);
  return sections
    .filter(({ columns, rows }, index) => index === 0 || columns.length === 0 || rows.length > 0)
    .map(({ title, lines = [], columns, rows }) => {
      const heading =
        drawLines(title, paper, paint.bold) + lines.map((line) => drawLines(line, paper)).join('');
      return heading + (rows.length === 0 ? '' : `${drawTable(columns, rows, paper)}\n`);
    })
    .join('\n');
}

function drawLines(text: Text, { color, width }: Paper, usual = (line: string) => line): string {
  const paint = typeof text === 'string' ? usual : colorOf(text.tone, painter(color));
  const lines = wrap(typeof text === 'string' ? text : text.text, width);
  return lines.map((line) => `${paint(line)}\n`).join('');
}

/** A thing's fields below each other, the names to the left. */
export function drawFields(fields: ReadonlyArray<readonly [string, Cell]>, color: boolean): string {
  const paint = painter(color);
  const table = new Table(plain());
  for (const [name, cell] of fields) table.push([paint.bold(printable(name)), drawCell(cell, paint)]);
  return trimLines(table.toString());
}

function painter(color: boolean): ChalkInstance {
  return new Chalk({ level: color ? 1 : 0 });
}

/** A colour stands beside a word that says the same, never for it. */
function drawCell(cell: Cell, paint: ChalkInstance): string {
  if (typeof cell === 'string') return printable(cell);
  return 'bar' in cell ? '' : colorOf(cell.tone, paint)(printable(cell.text));
}

function colorOf(tone: Tone, paint: ChalkInstance): ChalkInstance {
  const colors: Record<Tone, ChalkInstance> = {
    good: paint.green,
    warn: paint.yellow,
    bad: paint.red,
    faint: paint.dim,
  };
  return colors[tone];
}

function plain(): Table.TableConstructorOptions {
  const none = [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
  ];
  const lines = [...none, 'left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'];
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
