import type { Writable } from 'node:stream';
import { JwtctlError } from '../domain/errors.js';
import { printable } from '../domain/prose.js';
import type { Cell, Json, ListItem, Section, StreamItem, View } from './view.js';

export type OutputFormat = 'table' | 'json' | 'ndjson' | 'quiet';

export interface RenderOptions {
  format: OutputFormat;
  /** Whether cells may be coloured. */
  color: boolean;
}

/** Writes a view to stdout: data and nothing else. */
export async function render(view: View, stdout: Writable, options: RenderOptions): Promise<void> {
  const write = (text: string) => writeAll(stdout, text);
  switch (options.format) {
    case 'json':
      return writeJson(view, write);
    case 'ndjson':
      return writeNdjson(view, write);
    case 'quiet':
      return writeIds(view, write);
    case 'table':
      return writeForEyes(view, write, options.color);
  }
}

type Write = (text: string) => Promise<void>;

async function writeJson(view: View, write: Write): Promise<void> {
  if (view.shape !== 'list' && view.shape !== 'stream') return write(`${JSON.stringify(view.data)}\n`);
  let separator = '[';
  for await (const portion of portionsOf(view)) {
    if (portion.length === 0) continue;
    await write(`${separator}${portion.map(({ data }) => JSON.stringify(data)).join(',\n')}`);
    separator = ',\n';
  }
  await write(separator === '[' ? '[]\n' : ']\n');
}

/** Written together, because a write costs more than an item. */
async function* portionsOf(
  view: Extract<View, { shape: 'list' | 'stream' }>,
): AsyncGenerator<readonly StreamItem[]> {
  if (view.shape === 'stream') yield* view.portions;
  else for await (const item of view.items) yield [item];
}

async function writeNdjson(view: View, write: Write): Promise<void> {
  if (view.shape === 'list' || view.shape === 'stream') {
    for await (const portion of portionsOf(view)) {
      if (portion.length > 0) await write(portion.map(({ data }) => `${JSON.stringify(data)}\n`).join(''));
    }
    return;
  }
  const lines: Json[] = Array.isArray(view.data) ? view.data : [view.data];
  for (const line of lines) await write(`${JSON.stringify(line)}\n`);
}

async function writeIds(view: View, write: Write): Promise<void> {
  if (view.shape === 'text') return write(withNewline(view.text));
  if (view.shape === 'list' || view.shape === 'stream') {
    for await (const portion of portionsOf(view)) {
      if (portion.length > 0) await write(portion.map(({ id }) => `${printable(id)}\n`).join(''));
    }
    return;
  }
  for (const id of [view.id].flat()) await write(`${printable(id)}\n`);
}

async function writeForEyes(view: View, write: Write, color: boolean): Promise<void> {
  if (view.shape === 'text') return write(withNewline(view.text));
  if (view.shape === 'stream') return writeNdjson(view, write);
  const { drawFields, drawTable } = await import('./table.js');
  switch (view.shape) {
    case 'record':
      return write(`${drawFields(view.fields, color)}\n`);
    case 'list':
      return write(await drawList(view, (columns, rows) => drawTable(columns, rows, color)));
    case 'report': {
      const shown = view.sections.filter((section, index) => index === 0 || section.rows.length > 0);
      return write(shown.map((section) => drawSection(section, color, drawTable)).join('\n'));
    }
  }
}

async function drawList(
  view: Extract<View, { shape: 'list' }>,
  draw: (columns: readonly string[], rows: ReadonlyArray<readonly Cell[]>) => string,
): Promise<string> {
  const rows: Array<ListItem['row']> = [];
  for await (const item of view.items) rows.push(item.row);
  return rows.length === 0 ? `${view.empty}\n` : `${draw(view.columns, rows)}\n`;
}

function drawSection(
  { title, columns, rows }: Section,
  color: boolean,
  draw: (columns: readonly string[], rows: ReadonlyArray<readonly Cell[]>, color: boolean) => string,
): string {
  return rows.length === 0 ? `${title}\n` : `${title}\n${draw(columns, rows, color)}\n`;
}

function withNewline(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}

/** Waits where the reader is slower, so that a long list does not pile up in memory. */
async function writeAll(stream: Writable, text: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      stream.write(text, (error) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    throw unwritable(error as NodeJS.ErrnoException);
  }
}

/** A reader that went away is the caller's to judge. */
function unwritable(error: NodeJS.ErrnoException): Error {
  if (error.code === undefined || error.code === 'EPIPE') return error;
  return new JwtctlError(
    'partial',
    'ERR_OUTPUT_UNWRITABLE',
    `The result cannot be written to standard output (${error.code}).`,
    { hint: 'What the command was to do is done. Check that the disk has room.', cause: error },
  );
}
