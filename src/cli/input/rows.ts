import type { Line } from '../../domain/batch/line-batches.js';
import type { CsvColumns } from './csv.js';
import { readLines } from './lines.js';
import { readObjects } from './objects.js';
import type { InputSource } from './source.js';

export type RowFormat = 'csv' | 'ndjson';

/** An input with more blank bytes at its start counts as empty. */
const MAX_BLANK_BYTES = 65_536;

/** @param format default: by the ending of the file name, else by the first character; `{` means NDJSON */
export async function* readRows(
  source: InputSource,
  columns: CsvColumns,
  format: RowFormat | undefined,
): AsyncGenerator<ReadonlyArray<Line<Record<string, unknown>>>> {
  const named = format ?? formatOfName(source.name);
  const { chunks, isCsv } =
    named === undefined ? await peek(source.chunks()) : { chunks: source.chunks(), isCsv: named === 'csv' };
  if (!isCsv) return yield* readObjects(readLines(chunks));
  const { readCsv } = await import('./csv.js');
  yield* readCsv(chunks, columns);
}

function formatOfName(name: string): RowFormat | undefined {
  if (/\.csv$/i.test(name)) return 'csv';
  return /\.(ndjson|jsonl)$/i.test(name) ? 'ndjson' : undefined;
}

/** Reads up to the first character that is not blank. */
async function peek(
  chunks: AsyncIterable<Buffer>,
): Promise<{ chunks: AsyncIterable<Buffer>; isCsv: boolean }> {
  const rest = chunks[Symbol.asyncIterator]();
  const seen: Buffer[] = [];
  // Drops a byte order mark, and joins a character that spans two chunks.
  const decoder = new TextDecoder();
  let text = '';
  for (let bytes = 0; text === '' && bytes < MAX_BLANK_BYTES; ) {
    const { done, value } = await rest.next();
    if (done === true) break;
    seen.push(value);
    bytes += value.length;
    text = decoder.decode(value, { stream: true }).trimStart();
  }
  return { chunks: chain(seen, rest), isCsv: text !== '' && !text.startsWith('{') };
}

async function* chain(seen: readonly Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield* seen;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}
