import type { Kysely } from 'kysely';
import type { Database, Stores } from '../../domain/ports.js';
import { type AuditAuthor, SqlAuditLog } from './audit-log.js';
import { retryConflicts } from './conflicts.js';
import { SqlKeyStore } from './key-store.js';
import type { Schema, SqlExecutor } from './schema.js';
import { SqlSecurityLog } from './security-log.js';
import { SqlUserStore } from './user-store.js';

/** The durable stores over one Kysely instance: the same queries on MySQL, MariaDB and SQLite. */
export function sqlDatabase(db: Kysely<Schema>, author: AuditAuthor = NOBODY): Database {
  return {
    ...storesOn(db, author),
    transaction: async (work) => {
      // Fetched before the transaction, which would otherwise hold its locks for as long as a vault takes to answer.
      await author.macKey();
      return retryConflicts(() =>
        db.transaction().execute((transaction) => work(storesOn(transaction, author))),
      );
    },
  };
}

const NOBODY: AuditAuthor = { login: 'unknown', macKey: async () => null };

function storesOn(db: SqlExecutor, author: AuditAuthor): Stores {
  return {
    keys: new SqlKeyStore(db),
    users: new SqlUserStore(db),
    securityLog: new SqlSecurityLog(db),
    auditLog: new SqlAuditLog(db, author),
  };
}
