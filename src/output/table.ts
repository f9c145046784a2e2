import { Chalk, type ChalkInstance } from 'chalk';
import Table from 'cli-table3';
import { printable } from '../domain/prose.js';
import type { Cell, Tone } from './view.js';

/** Rows under their columns' names, without lines between them: easy on the eyes, and on `awk`. */
export function drawTable(
  columns: readonly string[],
  rows: ReadonlyArray<readonly Cell[]>,
  color: boolean,
): string {
  const paint = painter(color);
  const table = new Table({ head: columns.map((column) => paint.bold(column.toUpperCase())), ...plain() });
  for (const row of rows) table.push(row.map((cell) => drawCell(cell, paint)));
  return trimLines(table.toString());
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
  const colors: Record<Tone, ChalkInstance> = {
    good: paint.green,
    warn: paint.yellow,
    bad: paint.red,
    faint: paint.dim,
  };
  return colors[cell.tone](printable(cell.text));
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
    chars: { ...Object.fromEntries(lines.map((line) => [line, ''])), middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  };
}

function trimLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
