import type { Kysely, Migration } from 'kysely';
import { bytes, type Engine, generatedId, textColumn, word } from './column-types.js';
import { createTable } from './create-table.js';

/** What took standing away, until the last token that it covers has expired. */
export function securityLog(engine: Engine): Migration {
  return {
    up: async (db: Kysely<unknown>) => {
      await createTable(db, 'security_log', (table) =>
        table
          .addColumn('id', generatedId(engine), (column) => column.primaryKey().autoIncrement())
          .addColumn('type', word(engine, 32), (column) => column.notNull())
          .addColumn('sub', bytes(engine, 255))
          .addColumn('jti', bytes(engine, 255))
          .addColumn('kid', bytes(engine, 128))
          .addColumn('issued_before', 'bigint')
          .addColumn('user_version', 'bigint')
          .addColumn('reason', textColumn(engine, 1000))
          .addColumn('at', 'bigint', (column) => column.notNull())
          .addColumn('expires_at', 'bigint', (column) => column.notNull()),
      );
      // Nothing reads by `at` yet. A verifier that follows the log by time will, and on a log that has grown an index costs
      // a migration that locks the table or copies it; on an empty one it costs nothing.
      for (const columns of [['sub', 'jti'], ['kid'], ['type'], ['at'], ['expires_at']]) {
        await createIndexOnce(db, engine, `security_log_${columns[0]}`, columns);
      }
    },
  };
}

/** The migration may have been cut off between two of them. MySQL has no CREATE INDEX IF NOT EXISTS, SQLite no code for one that exists. */
async function createIndexOnce(
  db: Kysely<unknown>,
  engine: Engine,
  name: string,
  columns: readonly string[],
): Promise<void> {
  const create = db.schema
    .createIndex(name)
    .on('security_log')
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
