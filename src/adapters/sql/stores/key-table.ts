import { sql } from 'kysely';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { printable } from '../../../domain/shared/text.js';
import type { SqlExecutor } from '../schema.js';

export interface KeyTableOptions {
  /** `table` or `schema.table` */
  table: string;
  kidColumn: string;
  keyColumn: string;
}

export interface KeyTableRow {
  kid: string | null;
  key: string | Uint8Array | null;
}

const MOST_ROWS = 1_000;

/**
 * Reads the keys in a table of another program, which is never written.
 * @throws JwtctlError `ERR_KEY_TABLE_UNREADABLE` (usage) if the database refuses the query, or for more than 1,000 rows
 */
export async function readKeyTable(db: SqlExecutor, options: KeyTableOptions): Promise<KeyTableRow[]> {
  const { table, kidColumn, keyColumn } = options;
  // Cast to text, because a driver rounds numbers above 2^53.
  const query = sql<KeyTableRow>`select cast(${sql.id(kidColumn)} as char) as kid, ${sql.id(keyColumn)} as ${sql.id('key')} from ${sql.id(...table.split('.'))} limit ${sql.lit(MOST_ROWS + 1)}`;
  const { rows } = await query.execute(db).catch((error: unknown) => {
    throw isRefused(error) ? unreadable(options, error) : error;
  });
  if (rows.length <= MOST_ROWS) return rows;
  throw new JwtctlError(
    'ERR_KEY_TABLE_UNREADABLE',
    `The table ${printable(table)} has more than ${MOST_ROWS} rows, so it is not a table of keys.`,
  );
}

function isRefused(error: unknown): error is Error {
  if (error instanceof JwtctlError) {
    return ['ERR_SCHEMA_MISMATCH', 'ERR_DATABASE_UNKNOWN', 'ERR_MYSQL_FORBIDDEN'].includes(error.code);
  }
  return error instanceof Error && String((error as NodeJS.ErrnoException).code).startsWith('ER_');
}

function unreadable({ table, kidColumn, keyColumn }: KeyTableOptions, cause: Error): JwtctlError {
  const { code } = (cause instanceof JwtctlError ? cause.cause : cause) as NodeJS.ErrnoException;
  const name = `The table ${printable(table)}`;
  const refused = (message: string, hint?: string) =>
    new JwtctlError('ERR_KEY_TABLE_UNREADABLE', `${message} (${code}).`, { hint, cause });
  switch (cause instanceof JwtctlError ? cause.code : null) {
    case 'ERR_MYSQL_FORBIDDEN':
      return refused(
        `The MySQL account lacks permission to read the table ${printable(table)}`,
        `Run as an administrator: GRANT SELECT ON ${printable(table)} TO the account in mysql.url.`,
      );
    case 'ERR_DATABASE_UNKNOWN':
      return refused(`${name} does not exist`);
    case 'ERR_SCHEMA_MISMATCH':
      return refused(
        code === 'ER_BAD_FIELD_ERROR'
          ? `${name} lacks the column ${printable(kidColumn)} or ${printable(keyColumn)}`
          : `${name} does not exist`,
      );
    default:
      return refused(`${name} cannot be read`);
  }
}
