import type { AuditEntry, Database } from '../ports/index.js';

/** Other commands wait for the audit log while a transaction writes to it. */
const MOST_ROWS = 64;

/** Writes audit rows. Rows that arrive while a transaction is running share the next one. */
export class AuditRowBatcher {
  readonly #database: Pick<Database, 'transaction'>;
  #next: { rows: AuditEntry[]; written: Promise<void> } | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(database: Pick<Database, 'transaction'>) {
    this.#database = database;
  }

  /** Resolves when the row is written. */
  append(row: AuditEntry): Promise<void> {
    if (this.#next === null || this.#next.rows.length === MOST_ROWS) {
      const rows: AuditEntry[] = [];
      this.#last = this.#last.catch(() => {}).then(() => this.#write(rows));
      this.#next = { rows, written: this.#last };
    }
    this.#next.rows.push(row);
    return this.#next.written;
  }

  #write(rows: readonly AuditEntry[]): Promise<void> {
    if (this.#next?.rows === rows) this.#next = null;
    return this.#database.transaction(({ auditLog }) => auditLog.append(...rows));
  }
}
