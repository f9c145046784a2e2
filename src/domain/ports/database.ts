import type { AuditLog } from './audit-log.js';
import type { EventConsumers } from './event-consumers.js';
import type { KeyStore } from './key-store.js';
import type { DatabaseHeads } from './mark-store.js';
import type { SecurityLog } from './security-log.js';
import type { UserStore } from './user-store.js';

export interface Stores {
  readonly keys: KeyStore;
  readonly users: UserStore;
  readonly securityLog: SecurityLog;
  readonly auditLog: AuditLog;
  heads(): Promise<DatabaseHeads>;
}

/** The durable stores: MySQL, MariaDB, or SQLite. */
export interface Database extends Stores {
  readonly eventConsumers: EventConsumers;
  /** Runs `work` in one transaction, again after a conflict: it must use only the given stores. */
  transaction<T>(work: (stores: Stores) => Promise<T>): Promise<T>;
  /** Returns the server that answers now; null for a file. */
  server(): Promise<DatabaseServer | null>;
  /** Stops using the open connections: after a switchover, they stay with the old primary. */
  redial(): void;
}

export interface DatabaseServer {
  id: string;
  isReadOnly: boolean;
  /** The server's clock. */
  time: number;
}
