import type { Kysely, Migration } from 'kysely';
import { type Engine, word } from './column-types.js';
import { createTable } from './create-table.js';

/** One row per consumer of events. A lease lets one process at a time deliver to it. */
export function eventConsumers(engine: Engine): Migration {
  return {
    up: (db: Kysely<unknown>) =>
      createTable(db, 'event_consumers', (table) =>
        table
          .addColumn('name', word(engine, 64), (column) => column.primaryKey().notNull())
          .addColumn('position', word(engine, 64), (column) => column.notNull())
          .addColumn('holder', word(engine, 64), (column) => column.notNull())
          .addColumn('leased_until', 'bigint', (column) => column.notNull()),
      ),
  };
}
