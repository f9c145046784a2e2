import { JwtctlError } from '../../domain/shared/errors.js';
import { excerpt } from '../../domain/shared/text.js';

export interface CsvColumns {
  /** Names of the column that every row needs. One of them must be in the header. */
  readonly required: readonly [string, ...string[]];
  readonly optional: readonly string[];
  /** Whether the table may have further columns. */
  readonly hasOthers?: true;
}

export function nameOfColumn({ required: [name] }: CsvColumns): string {
  return name;
}

export interface CsvForm {
  delimiter: string;
  /** Whether to drop white space around fields. Otherwise it is part of a field (RFC 4180 §2). */
  trim: boolean;
}

const DELIMITERS = [',', ';', '\t'] as const;

/** Returns the form of a table whose header has a required column; null if the line is no such header. */
export function formOfHeader(line: string, columns: CsvColumns): CsvForm | null {
  for (const delimiter of DELIMITERS) {
    const cells = line.split(delimiter);
    const names = cells.map((cell) => columnNamed(cell.trim().replace(/^"|"$/g, ''), columns));
    if (!names.some((name) => name !== undefined && columns.required.includes(name))) continue;
    return { delimiter, trim: cells.some((cell) => cell.trim() !== cell) };
  }
  return null;
}

/** Returns the form with the most columns, so that a message shows the names of the header. */
export function likelyForm(line: string): CsvForm {
  const count = (delimiter: string) => line.split(delimiter).length;
  const delimiter = DELIMITERS.reduce((one, other) => (count(other) > count(one) ? other : one));
  return { delimiter, trim: false };
}

/** Returns the columns by their own names, whatever case and white space the header has. */
export function checkedHeader(cells: readonly string[], columns: CsvColumns): readonly string[] {
  const header = cells.map((cell) => columnNamed(cell, columns) ?? cell.trim());
  const known = header.filter((name) => isKnown(name, columns));
  const isRight =
    columns.required.some((name) => header.includes(name)) &&
    (columns.hasOthers === true || known.length === header.length) &&
    new Set(known).size === known.length;
  if (isRight) return header;
  const unknown = header.find((name) => !isKnown(name, columns));
  const hint = known.length === 0 || unknown === undefined ? undefined : hintFor(unknown, header, columns);
  throw headerInvalid(cells.join(','), columns, hint);
}

function hintFor(unknown: string, header: readonly string[], columns: CsvColumns): string | undefined {
  const { required, hasOthers } = columns;
  const name = excerpt(unknown);
  if (!required.some((one) => header.includes(one)))
    return `If the column ${name} has the ${required[0]}, rename the column ${name} to ${required[0]}.`;
  return hasOthers === true ? undefined : `The column ${name} is unknown. Remove it.`;
}

export function headerInvalid(
  header: string,
  { required, optional }: CsvColumns,
  hint?: string,
): JwtctlError {
  const also = optional.length === 0 ? '' : ` and optionally ${optional.join(', ')}`;
  return new JwtctlError(
    'ERR_CSV_HEADER_INVALID',
    `The header is '${excerpt(header)}'; expected ${required.join(' or ')}${also}.`,
    { hint },
  );
}

function columnNamed(cell: string, { required, optional }: CsvColumns): string | undefined {
  const wanted = cell.trim().toLowerCase();
  return [...required, ...optional].find((name) => name.toLowerCase() === wanted);
}

function isKnown(name: string, { required, optional }: CsvColumns): boolean {
  return required.includes(name) || optional.includes(name);
}
