import type { ColumnBuilderCallback, ColumnDataType, CreateTableBuilder, Expression, Kysely } from 'kysely';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { isDuplicateKey } from '../stores/conflicts.js';
import { tableName } from '../table-prefix.js';
import type { Engine } from './column-types.js';

// biome-ignore lint/suspicious/noExplicitAny: the column names differ from table to table
type AnyTableBuilder = CreateTableBuilder<string, any>;

/**
 * Accepts a table left by an interrupted run. Refuses one with other columns, which another program owns.
 *
 * @param addedLater columns of later migrations
 */
export async function createTable(
  db: Kysely<unknown>,
  name: string,
  define: (table: AnyTableBuilder) => AnyTableBuilder,
  addedLater: readonly string[] = [],
): Promise<void> {
  const builder = define(db.schema.createTable(name) as AnyTableBuilder);
  const fullName = tableName(db, name);
  const existing = (await db.introspection.getTables()).find((table) => table.name === fullName);
  if (existing === undefined) {
    await builder.execute();
    return;
  }
  const wanted = new Map(
    builder.toOperationNode().columns.map((node) => [node.column.column.name, node.generated !== undefined]),
  );
  const found = new Set(existing.columns.map((column) => column.name));
  // SQLite does not list generated columns.
  const isMissing = [...wanted].some(([name, isGenerated]) => !isGenerated && !found.has(name));
  if (isMissing || [...found].some((name) => !wanted.has(name) && !addedLater.includes(name))) {
    throw new JwtctlError(
      'ERR_TABLE_EXISTS',
      `The table '${fullName}' exists, but jwtctl did not create it.`,
    );
  }
}

export async function addColumnOnce(
  db: Kysely<unknown>,
  table: string,
  column: string,
  type: ColumnDataType | Expression<unknown>,
  build: ColumnBuilderCallback = (definition) => definition,
): Promise<void> {
  const fullName = tableName(db, table);
  const existing = (await db.introspection.getTables()).find(({ name }) => name === fullName);
  if (existing?.columns.some(({ name }) => name === column)) return;
  await db.schema.alterTable(table).addColumn(column, type, build).execute();
}

export async function insertOnce(
  db: Kysely<unknown>,
  table: string,
  row: Record<string, unknown>,
): Promise<void> {
  try {
    await (db as Kysely<Record<string, Record<string, unknown>>>).insertInto(table).values(row).execute();
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
  }
}

/**
 * Names the index after the table and its first column. MySQL has no CREATE INDEX IF NOT EXISTS, and SQLite no error
 * code for an existing index.
 */
export async function createIndexOnce(
  db: Kysely<unknown>,
  engine: Engine,
  table: string,
  columns: readonly string[],
): Promise<void> {
  const create = db.schema
    .createIndex(`${table}_${columns[0]}`)
    .on(table)
    .columns([...columns]);
  try {
    await (engine === 'sqlite' ? create.ifNotExists() : create).execute();
  } catch (error) {
    if (!hasDriverCode(error, 'ER_DUP_KEYNAME')) throw error;
  }
}

function hasDriverCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
