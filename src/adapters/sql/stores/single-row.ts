import { sql } from 'kysely';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { SqlExecutor } from '../schema.js';

type SingleRowTable = 'audit_head' | 'keystore_revision';

/** A number read from a larger one would be inexact, and the largest BIGINT cannot be incremented. */
const LARGEST = Number.MAX_SAFE_INTEGER - 1;

/** @throws JwtctlError `ERR_DATABASE_DAMAGED` (state) if the row is missing or a counter is out of range */
export function checkedRow<Row extends object>(
  row: Row | undefined,
  table: SingleRowTable,
  counters: ReadonlyArray<keyof Row>,
): Row {
  const isValid = (value: unknown) =>
    Number.isInteger(value) && 0 <= Number(value) && Number(value) <= LARGEST;
  if (row !== undefined && counters.every((name) => isValid(row[name]))) return row;
  throw damaged(table);
}

/** @throws JwtctlError `ERR_DATABASE_DAMAGED` (state) if the row is missing or the counter is out of range */
export async function incrementCounter(
  db: SqlExecutor,
  table: SingleRowTable,
  counter: 'seq' | 'revision',
): Promise<void> {
  const column = sql.ref(counter);
  const { numAffectedRows } = await sql`
    update ${sql.table(table)} set ${column} = ${column} + 1
    where id = 1 and ${column} >= 0 and ${column} < ${LARGEST}`.execute(db);
  if (numAffectedRows !== 1n) throw damaged(table);
}

function damaged(table: SingleRowTable): JwtctlError {
  return new JwtctlError(
    'ERR_DATABASE_DAMAGED',
    `The only row of the table ${table} is missing, or holds a number that is out of range.`,
    {
      hint: `Another program deleted or changed the row. Restore the row of ${table} as docs/operations.md describes.`,
    },
  );
}
