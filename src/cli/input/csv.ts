import { type CsvError, parse } from 'csv-parse';
import type { FailedLine, Line } from '../../domain/batch/line-batches.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { type CsvColumns, type CsvForm, checkedHeader } from './csv-header.js';
import { MAX_LINE_BYTES } from './lines.js';

type RowLine = Line<Record<string, unknown>>;
type BrokenRow = FailedLine & { number: number };

interface Row {
  number: number;
  fields: readonly string[];
}

/**
 * Yields the rows of a CSV with a header (RFC 4180) as objects. A row's number is its first line.
 * A row with broken quotes is the last one: the next row's start is unknown.
 * @throws JwtctlError (usage) `ERR_CSV_HEADER_INVALID`; `ERR_ROW_INVALID` for an unreadable header
 */
export async function* readCsv(
  chunks: AsyncIterable<Buffer>,
  columns: CsvColumns,
  form: CsvForm = { delimiter: ',', trim: false },
): AsyncGenerator<ReadonlyArray<RowLine>> {
  let header: readonly string[] | undefined;
  for await (const { rows, broken } of parsedChunks(chunks, form)) {
    const [first] = rows;
    if (header === undefined && first !== undefined) {
      header = checkedHeader(first.fields, columns);
      rows.shift();
    }
    if (header === undefined && broken !== null) throw broken.error;
    const named = header ?? [];
    const lines = rows.map((row) => toObject(row, named, columns));
    yield broken === null ? lines : [...lines, broken];
  }
  if (header === undefined) checkedHeader([], columns);
}

/** The line on which the last readable row ends, and the number of empty lines before that. */
interface Place {
  line: number;
  emptyLines: number;
}

/** Yields the rows that end in each chunk. A broken row is the last one. */
async function* parsedChunks(
  chunks: AsyncIterable<Buffer>,
  form: CsvForm,
): AsyncGenerator<{ rows: Row[]; broken: BrokenRow | null }> {
  let rows: Row[] = [];
  let end: Place = { line: 0, emptyLines: 0 };
  const parser = parse({
    bom: true,
    ...form,
    record_delimiter: ['\n', '\r\n'],
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_LINE_BYTES,
    // Collected here, because the parser drops its buffered rows after an error (csv-parse 7.0).
    on_record: (fields, { lines, empty_lines }) => {
      rows.push({ number: end.line + empty_lines - end.emptyLines + 1, fields });
      end = { line: lines, emptyLines: empty_lines };
      return null;
    },
  });
  parser.resume();
  parser.on('error', () => {});
  for await (const chunk of chunks) {
    const error = await feed((done) => parser.write(chunk, done));
    if (error !== null) return yield { rows, broken: brokenRow(error, end) };
    yield { rows, broken: null };
    rows = [];
  }
  const error = await feed((done) => parser.end(done));
  yield { rows, broken: error === null ? null : brokenRow(error, end) };
}

async function feed(give: (done: (error?: Error | null) => void) => void): Promise<CsvError | null> {
  const error = await new Promise<Error | null>((resolve) => give((failed) => resolve(failed ?? null)));
  if (error !== null && !isCsvError(error)) throw error;
  return error;
}

/** An empty field of an optional column is a missing one. */
function toObject({ number, fields }: Row, header: readonly string[], { optional }: CsvColumns): RowLine {
  if (fields.length !== header.length) {
    return {
      number,
      error: invalid(`Expected ${header.length} fields, as in the header, but found ${fields.length}.`),
    };
  }
  // csv-parse replaces invalid UTF-8 with U+FFFD.
  if (fields.some((field) => field.includes('\uFFFD'))) {
    return { number, error: invalid('The row is not well-formed UTF-8. Save the file as CSV UTF-8.') };
  }
  const members = header.map((column, index) => [column, fields[index]] as const);
  const given = members.filter(([column, field]) => field !== '' || !optional.includes(column));
  return { number, value: Object.fromEntries(given) };
}

function isCsvError(error: unknown): error is CsvError {
  return error instanceof Error && /^(CSV_|INVALID_)/.test(String((error as Error & { code?: string }).code));
}

/** The parser's own line number is where it gave up, which may be the end of the file. */
function brokenRow(error: CsvError, end: Place): BrokenRow {
  const number = end.line + Number(error.empty_lines) - end.emptyLines + 1;
  const message = `The row that begins at line ${number} ${faultOf(error, number)}. The rest of the CSV was not read.`;
  return { number, error: invalid(message), isCutOff: true };
}

function faultOf({ code, lines }: CsvError, number: number): string {
  if (code === 'CSV_QUOTE_NOT_CLOSED') return 'has a quote that is not closed';
  if (code !== 'CSV_MAX_RECORD_SIZE') return 'has a quote in the wrong place';
  const tooLong = `is longer than ${MAX_LINE_BYTES} bytes`;
  // Only a quoted field can span lines.
  return Number(lines) > number ? `${tooLong}: a quote may not be closed` : tooLong;
}

function invalid(message: string): JwtctlError {
  return new JwtctlError('ERR_ROW_INVALID', message);
}
