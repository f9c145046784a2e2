import { type Kysely, type Migration, sql } from 'kysely';
import { asciiText, bytes, type Engine, generatedId, word } from './column-types.js';
import { addColumnOnce, createTable, insertOnce } from './create-table.js';

export const keystore = {
  table: (engine: Engine): Migration => ({
    up: (db: Kysely<unknown>) =>
      createTable(db, 'keystore', (table) =>
        table
          .addColumn('position', generatedId(engine), (column) => column.primaryKey().autoIncrement())
          .addColumn('id', 'integer', (column) => column.notNull().unique())
          .addColumn('kid', bytes(engine, 128), (column) => column.notNull().unique())
          .addColumn('alg', word(engine, 16), (column) => column.notNull())
          .addColumn('bits', 'integer', (column) => column.notNull())
          .addColumn('state', word(engine, 16), (column) => column.notNull())
          .addColumn('private_key', asciiText(engine))
          .addColumn('public_key', asciiText(engine), (column) => column.notNull())
          .addColumn('master_key_id', word(engine, 64))
          .addColumn('max_ttl_seconds', 'bigint')
          .addColumn('created_at', 'bigint', (column) => column.notNull())
          .addColumn('activated_at', 'bigint')
          .addColumn('retiring_at', 'bigint')
          .addColumn('verify_until', 'bigint')
          .addColumn('retired_at', 'bigint')
          .addColumn('compromised_at', 'bigint')
          // Enforces at most one active key: 1 collides with 1, NULL with nothing.
          .addColumn('active_marker', 'integer', (column) =>
            column.generatedAlwaysAs(sql`case when state = 'active' then 1 else null end`).stored().unique(),
          ),
      ),
  }),

  /** Only in MySQL. */
  longerKid: (): Migration => ({
    up: async (db: Kysely<unknown>) => {
      await sql`alter table ${sql.table('keystore')} modify kid varbinary(255) not null`.execute(db);
    },
  }),

  /** The longest lifetime of refresh tokens that any host has issued. */
  longestRefreshTtl: (): Migration => ({
    up: async (db: Kysely<unknown>) => {
      await addColumnOnce(db, 'keystore_revision', 'longest_refresh_ttl', 'bigint', (column) =>
        column.notNull().defaultTo(0),
      );
    },
  }),

  /** Guarded writes compare `revision`. `recovered_at` is the time of the last `db recover`. */
  revisionTable: (_engine: Engine): Migration => ({
    up: async (db: Kysely<unknown>) => {
      await createTable(
        db,
        'keystore_revision',
        (table) =>
          table
            .addColumn('id', 'integer', (column) => column.primaryKey())
            .addColumn('revision', 'bigint', (column) => column.notNull())
            .addColumn('recovered_at', 'bigint', (column) => column.notNull()),
        ['longest_refresh_ttl'],
      );
      await insertOnce(db, 'keystore_revision', { id: 1, revision: 0, recovered_at: 0 });
    },
  }),
};
