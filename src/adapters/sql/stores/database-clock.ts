import { type RawBuilder, SqliteAdapter, sql } from 'kysely';
import type { SqlExecutor } from '../schema.js';

/** NumericDate seconds. SQLite uses the host's clock. */
export function databaseTime(db: SqlExecutor): RawBuilder<number> {
  const isSqlite = db.getExecutor().adapter instanceof SqliteAdapter;
  return isSqlite ? sql<number>`unixepoch()` : sql<number>`unix_timestamp()`;
}

export async function askDatabaseTime(db: SqlExecutor): Promise<number> {
  const { now } = await db.selectNoFrom(databaseTime(db).as('now')).executeTakeFirstOrThrow();
  return Number(now);
}
