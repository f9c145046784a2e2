import type { Kysely, Migration } from 'kysely';
import { bytes, type Engine, textColumn, word } from './column-types.js';
import { addColumnOnce, createTable } from './create-table.js';

export function users(engine: Engine): Migration {
  return {
    up: (db: Kysely<unknown>) =>
      createTable(
        db,
        'users',
        (table) =>
          table
            .addColumn('sub', bytes(engine, 255), (column) => column.primaryKey().notNull())
            .addColumn('name', textColumn(engine, 255))
            .addColumn('status', word(engine, 16), (column) => column.notNull())
            .addColumn('version', 'bigint', (column) => column.notNull())
            .addColumn('created_at', 'bigint', (column) => column.notNull())
            .addColumn('updated_at', 'bigint', (column) => column.notNull()),
        ['disabled_until'],
      ),
  };
}

/** When a disabled user is enabled again by itself. */
export function usersDisabledUntil(): Migration {
  return { up: (db: Kysely<unknown>) => addColumnOnce(db, 'users', 'disabled_until', 'bigint') };
}
