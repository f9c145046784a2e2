import type { AuditEntry, AuditLog } from '../../domain/ports.js';
import { auditHash } from './audit-chain.js';
import type { SqlExecutor } from './schema.js';

export class SqlAuditLog implements AuditLog {
  readonly #db: SqlExecutor;

  constructor(db: SqlExecutor) {
    this.#db = db;
  }

  /** Inside a transaction, so that the row stands or falls with what it tells of. */
  async append(entry: AuditEntry): Promise<void> {
    // The update comes first: it locks the end of the chain, so that the hash that is read next is the last one.
    await this.#db
      .updateTable('audit_head')
      .set((row) => ({ seq: row('seq', '+', 1) }))
      .where('id', '=', 1)
      .execute();
    const { seq, hash: previousHash } = await this.#db
      .selectFrom('audit_head')
      .select(['seq', 'hash'])
      .where('id', '=', 1)
      .executeTakeFirstOrThrow();
    const hash = auditHash(previousHash, seq, entry);
    await this.#db
      .insertInto('audit_log')
      .values({ seq, ...entry, previous_hash: previousHash, hash })
      .execute();
    await this.#db.updateTable('audit_head').set({ hash }).where('id', '=', 1).execute();
  }
}
