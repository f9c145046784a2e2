import type { Kysely } from 'kysely';
import type { Database, Stores } from '../../domain/ports.js';
import { SqlAuditLog } from './audit-log.js';
import { retryConflicts } from './conflicts.js';
import { SqlKeyStore } from './key-store.js';
import type { Schema, SqlExecutor } from './schema.js';
import { SqlSecurityLog } from './security-log.js';
import { SqlUserStore } from './user-store.js';

/** The durable stores over one Kysely instance: the same queries on MySQL, MariaDB and SQLite. */
export function sqlDatabase(db: Kysely<Schema>): Database {
  return {
    ...storesOn(db),
    transaction: (work) =>
      retryConflicts(() => db.transaction().execute((transaction) => work(storesOn(transaction)))),
  };
}

function storesOn(db: SqlExecutor): Stores {
  return {
    keys: new SqlKeyStore(db),
    users: new SqlUserStore(db),
    securityLog: new SqlSecurityLog(db),
    auditLog: new SqlAuditLog(db),
  };
}
