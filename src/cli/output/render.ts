import type { Writable } from 'node:stream';
import { JwtctlError } from '../../domain/shared/errors.js';
import { stringifySpelled } from '../../domain/shared/json-numbers.js';
import { printable, printableJson } from '../../domain/shared/text.js';
import type { CompleteCommands } from '../given-flags.js';
import type { TableOptions } from './table.js';
import type { Json, ListItem, ListView, Section, StreamItem, View } from './view.js';

export type OutputFormat = 'table' | 'json' | 'ndjson' | 'quiet';

export interface RenderOptions {
  format: OutputFormat;
  color: boolean;
  isWide?: boolean;
  complete?: CompleteCommands | undefined;
  /** Returns the current size of the terminal; null if there is none, or it does not report one. */
  screen: () => { columns: number | null; rows: number | null };
}

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
      return writeTables(view, stdout, options);
  }
}

type Write = (text: string) => Promise<void>;

async function writeJson(view: View, write: Write): Promise<void> {
  if (view.shape === 'live') throw endless();
  if (view.shape !== 'list' && view.shape !== 'stream') return write(`${jsonOf(view.data)}\n`);
  let separator = '[';
  for await (const portion of portionsOf(view)) {
    if (portion.length === 0) continue;
    await write(`${separator}${portion.map(({ data }) => jsonOf(data)).join(',\n')}`);
    separator = ',\n';
  }
  await write(separator === '[' ? '[]\n' : ']\n');
}

/** Written together, because a write costs more than an item. */
async function* portionsOf(
  view: Extract<View, { shape: 'list' | 'stream' }>,
): AsyncGenerator<ReadonlyArray<StreamItem | ListItem>> {
  if (view.shape === 'stream') yield* view.portions;
  else for await (const item of view.items) yield [item];
}

async function writeNdjson(view: View, write: Write): Promise<void> {
  if (view.shape === 'list' || view.shape === 'stream') {
    for await (const portion of portionsOf(view)) {
      if (portion.length > 0) await write(portion.map(({ data }) => `${jsonOf(data)}\n`).join(''));
    }
    return;
  }
  if (view.shape === 'live') {
    for await (const frame of view.frames) await write(`${jsonOf(frame.data)}\n`);
    return;
  }
  const lines: Json[] = Array.isArray(view.data) ? view.data : [view.data];
  for (const line of lines) await write(`${jsonOf(line)}\n`);
}

function jsonOf(value: Json): string {
  return printableJson(stringifySpelled(value));
}

async function writeIds(view: View, write: Write): Promise<void> {
  if (view.shape === 'text') return write(withNewline(view.text));
  if (view.shape === 'live') throw endless();
  if (view.shape === 'list' || view.shape === 'stream') {
    for await (const portion of portionsOf(view)) {
      if (portion.length > 0)
        await write(
          portion
            .flatMap(({ id }) => id)
            .map((id) => `${printable(id)}\n`)
            .join(''),
        );
    }
    return;
  }
  for (const id of [view.id].flat()) await write(`${printable(id)}\n`);
}

async function writeTables(
  view: View,
  stdout: Writable,
  { color, isWide, complete, screen }: RenderOptions,
): Promise<void> {
  const write: Write = (text) => writeAll(stdout, text);
  if (view.shape === 'text') return write(withNewline(view.text));
  if (view.shape === 'stream') return writeNdjson(view, write);
  const { drawFields, drawSections } = await import('./table.js');
  const tableOptions = (): TableOptions => ({
    ...{ color, width: screen().columns, isWide: isWide === true, complete },
  });
  switch (view.shape) {
    case 'record':
      return write(`${drawFields(view.fields, tableOptions())}\n`);
    case 'list':
      if (view.picture !== undefined && screen().columns !== null)
        return write(drawSections(view.picture, tableOptions()));
      return writeList(view, write, tableOptions());
    case 'report':
      return write(drawSections(view.sections, tableOptions()));
    case 'live': {
      const { CLEAR_REST, inPlace } = await import('./live.js');
      const draw = inPlace(() => screen().rows ?? USUAL_HEIGHT);
      let latest: readonly Section[] | null = null;
      const drawLatest = async () => latest && write(draw(drawSections(latest, tableOptions())));
      // The next frame reports a failed write.
      const onResize = () => drawLatest().catch(() => {});
      stdout.on('resize', onResize);
      try {
        for await (const { sections } of view.frames) {
          latest = sections;
          await drawLatest();
        }
      } finally {
        stdout.off('resize', onResize);
      }
      await write(CLEAR_REST);
    }
  }
}

/** Writes rows as they arrive, so that a long list starts at once and is never in memory as a whole. */
async function writeList(
  { items, columns, empty }: ListView,
  write: Write,
  tableOptions: TableOptions,
): Promise<void> {
  const { FIRST_PART, NEXT_PART, tableInParts } = await import('./table.js');
  const draw = tableInParts(columns, tableOptions);
  let rows: Array<ListItem['row']> = [];
  let isBegun = false;
  const flush = async () => {
    await write(`${draw(rows)}\n`);
    rows = [];
    isBegun = true;
  };
  for await (const item of items) {
    rows.push(item.row);
    if (rows.length === (isBegun ? NEXT_PART : FIRST_PART)) await flush();
  }
  if (rows.length > 0) await flush();
  if (!isBegun) await write(`${tableOptions.complete?.(empty) ?? empty}\n`);
}

const USUAL_HEIGHT = 24;

/** A bug, because commands check the output format first. */
function endless(): JwtctlError {
  return new JwtctlError('ERR_BUG', 'A live view cannot be written as one document.');
}

function withNewline(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}

/** Waits for a slow reader, so that a long list does not pile up in memory. */
async function writeAll(stream: Writable, text: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      stream.write(text, (error) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    throw unwritable(error as NodeJS.ErrnoException);
  }
}

function unwritable(error: NodeJS.ErrnoException): Error {
  if (error.code === undefined || error.code === 'EPIPE') return error;
  return new JwtctlError(
    'ERR_OUTPUT_UNWRITABLE',
    `The command is done, but its result cannot be written to standard output (${error.code}).`,
    { cause: error },
  );
}
