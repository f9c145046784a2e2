import type { Line } from '../../domain/batch/line-batches.js';
import { utf16Of } from '../../domain/shared/decode-text.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { FORMAT_NAMES, fileFormat } from '../../domain/shared/file-format.js';
import { excerpt } from '../../domain/shared/text.js';
import { type CsvColumns, formOfHeader, headerInvalid, likelyForm, nameOfColumn } from './csv-header.js';
import { changedValue, type ForeignFormat, foreignFormat } from './foreign-format.js';
import { readLines } from './lines.js';
import { readObjects } from './objects.js';
import type { InputSource } from './source.js';

export type RecordFormat = 'text' | 'csv' | 'ndjson';

/** What the lines of an input are. */
export interface RecordKind extends CsvColumns {
  /** For messages: `subjects`. */
  readonly plural: string;
  /** Whether a plain line may be a JSON object, so that both may be in one file. The reader of the record parses it. */
  readonly isMixed?: true;
  /** If no line at the start of the input has this form, the file is of another kind, or empty. Default: any form */
  readonly form?: RegExp;
}

type Records = AsyncIterable<ReadonlyArray<Line<Record<string, unknown>>>>;

/** The beginning of an input decides its format. An input with more blank bytes at its start counts as empty. */
const MAX_PEEK_BYTES = 65_536;

/**
 * Reads plain lines, a CSV with a header, or NDJSON as objects. A plain line becomes the first column of `kind`.
 *
 * @param format default: by the ending of the file name, else by the first line
 * @throws JwtctlError (usage) `ERR_FILE_KIND_UNKNOWN` for a file that is no list; errors of {@link readCsv}
 */
export async function readRecords(
  source: InputSource,
  kind: RecordKind,
  format: RecordFormat | undefined,
): Promise<Records> {
  const refuse: Refuse = (what, hint) => unknownKind(source.name, kind, what, hint);
  const { chunks, bytes, text } = await peek(inUtf8(source.chunks(), () => refuse('is not valid UTF-16')));
  const [first = ''] = text.split(/\r?\n/, 1);
  const binary = binaryKind(bytes, first);
  if (binary !== null) throw refuse(`is ${binary}`);
  if (/^"?sep=.?"?$/i.test(first.trim()))
    throw refuse(
      `begins with the line ${first.trim()}, which only spreadsheet programs understand; remove that line`,
    );
  if (text === '' && kind.form !== undefined) throw refuse('is empty');
  const decided = format ?? formatOfName(source.name) ?? formatOfLine(first, kind, refuse);
  if (decided === 'csv') {
    const { readCsv } = await import('./csv.js');
    // Reads the header at once, so that nothing begins under a wrong one.
    const rows = readCsv(chunks, kind, formOfHeader(first, kind) ?? likelyForm(first));
    const begun = await rows.next();
    const all = begun.done === true ? rows : chain([begun.value], rows);
    return format === undefined ? refusing(all, kind, { find: changedValue, format: 'csv' }) : all;
  }
  if (decided === 'ndjson' && kind.isMixed !== true) return readObjects(readLines(chunks));
  if (format === undefined && kind.form?.test(text) === false) {
    throw refuse('begins with a line that is not one of these, a JSON object, or the header of a CSV');
  }
  const lines = plainLines(readLines(chunks), nameOfColumn(kind));
  return format === undefined ? refusing(lines, kind, { find: foreignFormat, format: 'text' }) : lines;
}

type Refuse = (what: string, hint?: string) => JwtctlError;

async function* plainLines(lines: AsyncIterable<ReadonlyArray<Line<string>>>, column: string): Records {
  for await (const some of lines) {
    yield some.map((line) =>
      'error' in line ? line : { number: line.number, value: { [column]: line.value } },
    );
  }
}

/** Refuses the lines whose first column has something that other programs write instead of a value. */
async function* refusing(
  records: Records,
  kind: RecordKind,
  { find, format }: { find: (text: string) => ForeignFormat | null; format: RecordFormat },
): Records {
  const column = nameOfColumn(kind);
  for await (const some of records) {
    yield some.map((line) => {
      const text = 'value' in line && kind.form === undefined ? line.value[column] : undefined;
      const found = typeof text === 'string' ? find(text) : null;
      return found === null ? line : { number: line.number, error: foreignLine(found, kind, format) };
    });
  }
}

function foreignLine(
  { what, hint }: ForeignFormat,
  { plural }: RecordKind,
  format: RecordFormat,
): JwtctlError {
  return new JwtctlError('ERR_ROW_INVALID', `The line has ${what}; expected one of the ${plural}.`, {
    hint: `${hint} If the line is one of the ${plural}, pass --format ${format}.`,
  });
}

function formatOfName(name: string): RecordFormat | undefined {
  if (/\.(csv|tsv)$/i.test(name)) return 'csv';
  return /\.(ndjson|jsonl)$/i.test(name) ? 'ndjson' : undefined;
}

/** Header words of other programs. A list is unlikely to begin with one of them. */
const OTHER_HEADERS =
  /^"?(subject|user|user[ _-]?name|user[ _-]?id|uid|id|e?-?mail|login|name|account|jwt)"?$/i;

/** The cells of a header, or of a CSV without one. An equals sign is part of a name in a directory (LDAP). */
const CELLS = /^"?[\w@][\w.@+' -]*"?([,;\t]\s*"?[\w@][\w.@+' -]*"?)+$/;

function formatOfLine(first: string, kind: RecordKind, refuse: Refuse): RecordFormat {
  const line = first.trim();
  if (/^[[{]$/.test(line)) throw refuse('is one JSON document over several lines');
  if (/^\[\s*[{"']/.test(line)) throw refuse('is a JSON array');
  if (line.startsWith('{')) return 'ndjson';
  if (formOfHeader(first, kind) !== null) return 'csv';
  const asText = `If this is not a header but one of the ${kind.plural}, pass --format text.`;
  if (CELLS.test(line) || OTHER_HEADERS.test(line)) throw headerInvalid(first, kind, asText);
  const foreign = kind.form === undefined ? foreignFormat(line) : null;
  if (foreign === null) return 'text';
  const { what, hint } = foreign;
  throw refuse(
    `begins with ${what}`,
    `${hint} If the line is one of the ${kind.plural}, pass --format text.`,
  );
}

function binaryKind(bytes: Buffer, first: string): string | null {
  const format = fileFormat(bytes);
  if (format === 'ZIP') return 'a ZIP archive or a spreadsheet: export it as CSV';
  if (format !== null) return FORMAT_NAMES[format];
  if (first.includes('\0')) return 'a binary file';
  if (first.startsWith('-----BEGIN ')) return 'a PEM file';
  return /^<(!doctype|html|\?xml)/i.test(first) ? 'HTML or XML' : null;
}

function unknownKind(name: string, { plural }: RecordKind, what: string, hint?: string): JwtctlError {
  const message = `${excerpt(name)} is not a list of ${plural}: it ${what}.`;
  return new JwtctlError('ERR_FILE_KIND_UNKNOWN', message, { hint });
}

/** Turns UTF-16 into UTF-8. The first two bytes decide. */
async function* inUtf8(chunks: AsyncIterable<Buffer>, broken: () => JwtctlError): AsyncGenerator<Buffer> {
  const rest = chunks[Symbol.asyncIterator]();
  let begin: Buffer = Buffer.alloc(0);
  while (begin.length < 2) {
    const { done, value } = await rest.next();
    if (done === true) break;
    begin = Buffer.concat([begin, value]);
  }
  const encoding = utf16Of(begin);
  if (encoding === null) return yield* chain([begin], rest);
  const decoder = new TextDecoder(encoding, { fatal: true });
  const decode = (bytes: Buffer, stream: boolean) => {
    try {
      return Buffer.from(decoder.decode(bytes, { stream }));
    } catch {
      throw broken();
    }
  };
  for await (const bytes of chain([begin], rest)) yield decode(bytes, true);
  yield decode(Buffer.alloc(0), false);
}

/** Reads the first line that is not blank. */
async function peek(
  chunks: AsyncIterable<Buffer>,
): Promise<{ chunks: AsyncIterable<Buffer>; bytes: Buffer; text: string }> {
  const rest = chunks[Symbol.asyncIterator]();
  const seen: Buffer[] = [];
  // Drops a byte order mark, and joins a character that spans two chunks.
  const decoder = new TextDecoder();
  let text = '';
  for (let size = 0; !text.includes('\n') && size < MAX_PEEK_BYTES; ) {
    const { done, value } = await rest.next();
    if (done === true) break;
    seen.push(value);
    size += value.length;
    text = (text + decoder.decode(value, { stream: true })).replace(/^\s*\n/, '');
  }
  return { chunks: chain(seen, rest), bytes: Buffer.concat(seen), text: text.trim() === '' ? '' : text };
}

async function* chain<T>(seen: readonly T[], rest: AsyncIterator<T>): AsyncGenerator<T> {
  yield* seen;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}
