import { randomUUID } from 'node:crypto';
import type { Kysely, Migration } from 'kysely';
import { GENESIS } from '../../../domain/audit-log/audit-chain.js';
import { type Engine, textColumn, word } from './column-types.js';
import { addColumnOnce, createIndexOnce, createTable, insertOnce } from './create-table.js';

/**
 * One row per command that changed something. `hash` covers the row and `previous_hash` under a key that is
 * not in the database, so a changed or removed row is detected.
 */
export const auditLog = {
  table: (engine: Engine): Migration => ({
    up: (db: Kysely<unknown>) =>
      createTable(db, 'audit_log', (table) =>
        table
          .addColumn('seq', 'bigint', (column) => column.primaryKey().notNull())
          .addColumn('at', 'bigint', (column) => column.notNull())
          .addColumn('actor', textColumn(engine, 255), (column) => column.notNull())
          .addColumn('login', textColumn(engine, 255), (column) => column.notNull())
          .addColumn('action', word(engine, 64), (column) => column.notNull())
          .addColumn('target', textColumn(engine, 1000), (column) => column.notNull())
          .addColumn('outcome', word(engine, 64), (column) => column.notNull())
          .addColumn('reason', textColumn(engine, 1000))
          .addColumn('mac_key_id', word(engine, 64))
          .addColumn('previous_hash', word(engine, 64), (column) => column.notNull())
          .addColumn('hash', word(engine, 64), (column) => column.notNull())
          .addColumn('details', textColumn(engine, 2000)),
      ),
  }),

  /** What a row covers, as JSON. Only for tables without it: a least account may not ALTER the audit log. */
  detailsColumn: (engine: Engine): Migration => ({
    up: (db: Kysely<unknown>) => addColumnOnce(db, 'audit_log', 'details', textColumn(engine, 2000)),
  }),

  /** For the row of an event, and for rows of a time range. `target` is too wide for an index. */
  atIndex: (engine: Engine): Migration => ({
    up: (db: Kysely<unknown>) => createIndexOnce(db, engine, 'audit_log', ['at']),
  }),

  /** A single row: the end of the chain, and the lock for appending to it. */
  headTable: (engine: Engine): Migration => ({
    up: async (db: Kysely<unknown>) => {
      await createTable(db, 'audit_head', (table) =>
        table
          .addColumn('id', 'integer', (column) => column.primaryKey())
          .addColumn('chain_id', word(engine, 64), (column) => column.notNull())
          .addColumn('seq', 'bigint', (column) => column.notNull())
          .addColumn('hash', word(engine, 64), (column) => column.notNull()),
      );
      await insertOnce(db, 'audit_head', { id: 1, chain_id: randomUUID(), ...GENESIS });
    },
  }),
};
