import { type Kysely, sql } from 'kysely';
import type { Database, DatabaseServer, Stores } from '../../../domain/ports/index.js';
import type { DatabaseHeads } from '../../../domain/ports/mark-store.js';
import type { Schema, SqlExecutor } from '../schema.js';
import { type AuditAuthor, sqlAuditLog } from './audit-log.js';
import { retryConflicts } from './conflicts.js';
import { sqlEventConsumers } from './event-consumers.js';
import { readRevision, sqlKeyStore } from './key-store.js';
import { sqlSecurityLog } from './security-log.js';
import { sqlUserStore } from './user-store.js';

export interface DatabaseOptions {
  author?: AuditAuthor;
  /** For databases with a server: see {@link Database.redial}. */
  redial?: (() => void) | undefined;
  /** Called each time with a row of the security log that jwtctl cannot interpret. */
  onInvalidEvent?: (text: string) => void;
  /**
   * Decides whether a ban is over. Pass a time that every host's clock has already reached, so that a fast clock ends
   * no ban early. Default: the host's clock
   */
  now?: () => number;
}

export function sqlDatabase(db: Kysely<Schema>, options: DatabaseOptions = {}): Database {
  const { author = UNKNOWN_AUTHOR, redial } = options;
  return {
    ...storesOn(db, options),
    eventConsumers: sqlEventConsumers(db),
    server: async () => (redial === undefined ? null : readServer(db)),
    redial: () => redial?.(),
    transaction: async (work) => {
      // Fetched first, so that the transaction holds no locks while a vault answers.
      await author.macKey();
      return retryConflicts(() =>
        db.transaction().execute((transaction) => work(storesOn(transaction, options))),
      );
    },
  };
}

const UNKNOWN_AUTHOR: AuditAuthor = { login: 'unknown', macKey: async () => null };

function storesOn(
  db: SqlExecutor,
  { author = UNKNOWN_AUTHOR, onInvalidEvent = () => {}, now = hostTime }: DatabaseOptions,
): Stores {
  return {
    keys: sqlKeyStore(db),
    users: sqlUserStore(db, now),
    securityLog: sqlSecurityLog(db, onInvalidEvent),
    auditLog: sqlAuditLog(db, author),
    heads: () => readHeads(db),
  };
}

const hostTime = () => Math.floor(Date.now() / 1000);

async function readHeads(db: SqlExecutor): Promise<DatabaseHeads> {
  const { seq, hash } = await sqlAuditLog(db, UNKNOWN_AUTHOR).head();
  return { ...(await readRevision(db)), audit: { seq, hash } };
}

/** `server_uuid` exists only in MySQL, which reads the comment. `read_only` is a word since MariaDB 12. */
async function readServer(db: SqlExecutor): Promise<DatabaseServer> {
  const query = sql<{ id: string; readOnly: string; engineReadOnly: string; time: number }>`
    select concat_ws('/', @@server_id, @@hostname, @@port /*!80000 , @@server_uuid */) as id,
      concat(@@global.read_only) as readOnly, concat(@@innodb_read_only) as engineReadOnly,
      unix_timestamp() as time`;
  const [row] = (await query.execute(db)).rows;
  const isWritable = (value: string | undefined) => value === '0' || value === 'OFF';
  return {
    id: row?.id ?? '',
    isReadOnly: !isWritable(row?.readOnly) || !isWritable(row?.engineReadOnly),
    time: Number(row?.time),
  };
}
