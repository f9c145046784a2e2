import type { CreateTableBuilder, Kysely } from 'kysely';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { isDuplicateKey } from '../stores/conflicts.js';

// biome-ignore lint/suspicious/noExplicitAny: the columns' names are what these functions are about
type AnyTableBuilder = CreateTableBuilder<string, any>;

/**
 * Creates a table, or accepts the one that an interrupted run of the same migration has left behind. A table of the same
 * name with other columns is somebody else's and is not touched.
 */
export async function createTable(
  db: Kysely<unknown>,
  name: string,
  define: (table: AnyTableBuilder) => AnyTableBuilder,
): Promise<void> {
  const builder = define(db.schema.createTable(name) as AnyTableBuilder);
  const existing = (await db.introspection.getTables()).find((table) => table.name === name);
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
  if (isMissing || [...found].some((name) => !wanted.has(name))) {
    throw new JwtctlError('ERR_TABLE_EXISTS', `There is a table '${name}' that jwtctl did not make.`, {
      hint: 'Give jwtctl a database of its own; `users.table` may name a table of another one (`app.users`).',
    });
  }
}

/** Inserts the one row that a table is about. */
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
