import { type Kysely, type Migration, sql } from 'kysely';
import { addColumnOnce, createTable } from './create-table.js';

/** Only in SQLite. */
export const tokenRegistry = {
  entriesTable: (): Migration => ({
    up: async (db: Kysely<unknown>) => {
      await createTable(
        db,
        'registry_entries',
        (table) =>
          table
            .addColumn('sub', 'text', (column) => column.notNull())
            .addColumn('jti', 'text', (column) => column.notNull())
            .addColumn('key_id', 'integer', (column) => column.notNull())
            .addColumn('iat', 'integer', (column) => column.notNull())
            .addColumn('exp', 'integer', (column) => column.notNull())
            .addColumn('meta', 'text')
            .addPrimaryKeyConstraint('registry_entries_key', ['sub', 'jti', 'key_id', 'iat'] as never[])
            .modifyEnd(sql`without rowid`),
        ['last_seen'],
      );
      await db.schema
        .createIndex('registry_entries_exp')
        .ifNotExists()
        .on('registry_entries')
        .column('exp')
        .execute();
    },
  }),

  entriesLastSeen: (): Migration => ({
    up: (db: Kysely<unknown>) => addColumnOnce(db, 'registry_entries', 'last_seen', 'integer'),
  }),

  usersTable: (): Migration => ({
    up: (db: Kysely<unknown>) =>
      createTable(db, 'registry_users', (table) =>
        table
          .addColumn('sub', 'text', (column) => column.primaryKey().notNull())
          .addColumn('status', 'text', (column) => column.notNull())
          .addColumn('version', 'integer', (column) => column.notNull())
          .addColumn('known_until', 'integer', (column) => column.notNull()),
      ),
  }),

  familiesTable: (): Migration => ({
    up: async (db: Kysely<unknown>) => {
      await createTable(db, 'registry_families', (table) =>
        table
          .addColumn('sub', 'text', (column) => column.notNull())
          .addColumn('family', 'text', (column) => column.notNull())
          .addColumn('counter', 'integer', (column) => column.notNull())
          .addColumn('key_id', 'integer', (column) => column.notNull())
          .addColumn('iat', 'integer', (column) => column.notNull())
          .addColumn('started_at', 'integer', (column) => column.notNull())
          .addColumn('refreshed_at', 'integer', (column) => column.notNull())
          .addColumn('exp', 'integer', (column) => column.notNull())
          .addColumn('meta', 'text')
          .addPrimaryKeyConstraint('registry_families_key', ['sub', 'family'] as never[])
          .modifyEnd(sql`without rowid`),
      );
      await db.schema
        .createIndex('registry_families_exp')
        .ifNotExists()
        .on('registry_families')
        .column('exp')
        .execute();
    },
  }),

  fleetTable: (): Migration => ({
    up: (db: Kysely<unknown>) =>
      createTable(db, 'registry_fleet', (table) =>
        table
          .addColumn('id', 'text', (column) => column.primaryKey().notNull())
          .addColumn('heartbeat', 'text', (column) => column.notNull())
          .addColumn('until', 'integer', (column) => column.notNull()),
      ),
  }),
};
