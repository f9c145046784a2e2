import { type Kysely, type Migration, sql } from 'kysely';
import { bytes, type Engine, generatedId, textColumn, word } from './column-types.js';
import { addColumnOnce, createIndexOnce, createTable } from './create-table.js';

/** Events stay until the last affected token has expired. */
export function securityLog(engine: Engine): Migration {
  return {
    up: async (db: Kysely<unknown>) => {
      await createTable(
        db,
        'security_log',
        (table) =>
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
        ['verifiers_until', 'except_jti'],
      );
      // No query uses `at` yet, but adding an index to a large log later locks or copies the table.
      for (const columns of [['sub', 'jti'], ['kid'], ['type'], ['at'], ['expires_at']]) {
        await createIndexOnce(db, engine, 'security_log', columns);
      }
    },
  };
}

/** Only in MySQL. */
export function longerEventKid(): Migration {
  return {
    up: async (db: Kysely<unknown>) => {
      await sql`alter table ${sql.table('security_log')} modify kid varbinary(255)`.execute(db);
    },
  };
}

/** Verifiers forget an event at this time. It is kept longer for refresh tokens. */
export function eventVerifiersUntil(): Migration {
  return {
    up: (db: Kysely<unknown>) => addColumnOnce(db, 'security_log', 'verifiers_until', 'bigint'),
  };
}

/** What an event about a subject leaves: a token, or a session. */
export function eventException(engine: Engine): Migration {
  return {
    up: (db: Kysely<unknown>) => addColumnOnce(db, 'security_log', 'except_jti', bytes(engine, 255)),
  };
}
