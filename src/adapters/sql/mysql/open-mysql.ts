import type { Socket } from 'node:net';
import { type Kysely, Kysely as KyselyDatabase, MysqlAdapter, MysqlDialect } from 'kysely';
import { queryLog } from '../query-log.js';
import type { Schema } from '../schema.js';
import { retryConflicts } from '../stores/conflicts.js';
import { MIGRATION_LOCK_TABLE, TablePrefix } from '../table-prefix.js';
import { dialMysql, type MysqlOptions } from './dial.js';
import { type MysqlServer, translateMysqlError } from './mysql-errors.js';
import { type Limits, noAnswer, TimedConnection } from './timed-connection.js';

const MAX_CONNECTIONS = 4;

/** Queries and closing end within the timeout. Every error is a JwtctlError, except for defects. */
export function openMysql(options: MysqlOptions): OpenedMysql {
  const pool = new TimedPool(options);
  const { tablePrefix = '' } = options;
  const db = new KyselyDatabase<Schema>({
    dialect: new PooledMysqlDialect(pool, `${tablePrefix}${MIGRATION_LOCK_TABLE}`),
    log: queryLog('mysql', options.recordCall),
    plugins: tablePrefix === '' ? [] : [new TablePrefix(tablePrefix)],
  });
  return { db, redial: () => pool.redial(), close: () => db.destroy() };
}

export interface OpenedMysql {
  db: Kysely<Schema>;
  /** Stops using the open connections after their current queries. The next query opens a new one. */
  redial(): void;
  close(): Promise<void>;
}

/** The server gives up on a lock first, so that the client can tell a lock from a silent server. */
function limitsOf(timeoutMs: number): Limits {
  const lockWaitSeconds = Math.max(1, Math.floor(timeoutMs / 2000));
  return { lockWaitSeconds, queryMs: Math.max(timeoutMs, (lockWaitSeconds + 1) * 1000) };
}

class PooledMysqlDialect extends MysqlDialect {
  readonly #locks: TimedPool;
  readonly #lockTable: string;

  constructor(pool: TimedPool, lockTable: string) {
    super({ pool });
    this.#locks = pool;
    this.#lockTable = lockTable;
  }

  override createAdapter(): MysqlAdapter {
    return new RowLockMysqlAdapter(this.#locks, this.#lockTable);
  }
}

/**
 * Kysely locks migrations with GET_LOCK, which some clusters forbid. This adapter locks a row in an open
 * transaction. The transaction has its own connection, because DDL would commit it. If the process is killed,
 * the lock is released.
 */
class RowLockMysqlAdapter extends MysqlAdapter {
  readonly #pool: TimedPool;
  readonly #table: string;
  #holder: TimedConnection | undefined;

  constructor(pool: TimedPool, table: string) {
    super();
    this.#pool = pool;
    this.#table = table;
  }

  override async acquireMigrationLock(): Promise<void> {
    const connection = await this.#pool.connect();
    try {
      await connection.run('begin');
      await retryConflicts(() => connection.run(`update ${this.#table} set is_locked = is_locked`));
    } catch (error) {
      connection.destroy();
      throw error;
    }
    this.#holder = connection;
  }

  override async releaseMigrationLock(): Promise<void> {
    const connection = this.#holder;
    this.#holder = undefined;
    if (connection === undefined) return;
    try {
      await connection.run('commit');
    } finally {
      connection.release();
    }
  }
}

/** mysql2's own pool keeps the password and certificates that it started with. */
class TimedPool {
  readonly #options: MysqlOptions;
  readonly #server: MysqlServer;
  readonly #limits: Limits;
  readonly #sockets = new Set<Socket>();
  readonly #open = new Set<TimedConnection>();
  readonly #idle: TimedConnection[] = [];
  readonly #waiting: Waiting[] = [];
  /** Connections that are open, being opened, or granted to a waiting caller. */
  #size = 0;
  readonly #outdated = new WeakSet<TimedConnection>();
  #redials = 0;
  #isClosed = false;

  constructor(options: MysqlOptions) {
    this.#options = options;
    this.#server = { url: new URL(options.url), retryForMs: options.timeoutMs };
    this.#limits = limitsOf(options.timeoutMs);
  }

  // biome-ignore lint/suspicious/noExplicitAny: Kysely's own signature for a pool's callback
  getConnection(callback: (error: unknown, connection: any) => void): void {
    this.connect().then(
      (connection) => callback(null, connection),
      (error) => callback(error, undefined),
    );
  }

  connect(): Promise<TimedConnection> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { isGivenUp: false, accept: () => {} };
      const timer = setTimeout(() => {
        waiting.isGivenUp = true;
        reject(translateMysqlError(noAnswer(), this.#server));
      }, this.#limits.queryMs);
      this.#next(waiting)
        .finally(() => clearTimeout(timer))
        .then((connection) => (waiting.isGivenUp ? connection.release() : resolve(connection)), reject);
    });
  }

  redial(): void {
    this.#redials += 1;
    for (const connection of this.#open) this.#outdated.add(connection);
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  /** A silent server never answers QUIT, and its sockets would keep the process running. */
  end(callback: (error: unknown) => void): void {
    this.#isClosed = true;
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, this.#limits.queryMs);
    const isClosed = Promise.all(
      [...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
    );
    isClosed.then(() => {
      clearTimeout(timer);
      callback(null);
    });
    for (const connection of this.#open) connection.end();
  }

  async #next(waiting: Waiting): Promise<TimedConnection> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#size < MAX_CONNECTIONS) {
      this.#size += 1;
      return this.#dial();
    }
    const handedOver = new Promise<TimedConnection | null>((resolve) => {
      waiting.accept = resolve;
    });
    this.#waiting.push(waiting);
    return (await handedOver) ?? this.#dial();
  }

  async #dial(): Promise<TimedConnection> {
    const redials = this.#redials;
    const dialed = await dialMysql(this.#options, this.#server, this.#sockets).catch((error) => {
      this.#free();
      throw error;
    });
    const connection = new TimedConnection(dialed, this.#server, this.#limits, {
      onReleased: () => this.#handOver(connection),
      onLost: () => this.#forget(connection),
      onReadOnly: () => this.redial(),
    });
    this.#open.add(connection);
    if (redials !== this.#redials) this.#outdated.add(connection);
    if (this.#isClosed) connection.destroy();
    await connection.prepare();
    return connection;
  }

  #handOver(connection: TimedConnection): void {
    if (!this.#open.has(connection)) return;
    if (this.#outdated.has(connection)) return void connection.destroy();
    const waiting = this.#nextWaiting();
    if (waiting === undefined) this.#idle.push(connection);
    else waiting.accept(connection);
  }

  #forget(connection: TimedConnection): void {
    if (!this.#open.delete(connection)) return;
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
    this.#free();
  }

  #free(): void {
    const waiting = this.#nextWaiting();
    if (waiting === undefined) this.#size -= 1;
    else waiting.accept(null);
  }

  #nextWaiting(): Waiting | undefined {
    let waiting = this.#waiting.shift();
    while (waiting?.isGivenUp) waiting = this.#waiting.shift();
    return waiting;
  }
}

interface Waiting {
  isGivenUp: boolean;
  /** Null permits the caller to open a connection. */
  accept(connection: TimedConnection | null): void;
}
