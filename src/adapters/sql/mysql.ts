import type { Socket } from 'node:net';
import { type Kysely, Kysely as KyselyDatabase, MysqlAdapter, MysqlDialect } from 'kysely';
import type { Connection } from 'mysql2';
import { JwtctlError } from '../../domain/errors.js';
import { retryConflicts } from './conflicts.js';
import { dialMysql, type MysqlOptions } from './mysql-dial.js';
import { isReadOnly, type MysqlServer, sessionRefused, translateMysqlError } from './mysql-errors.js';
import type { Schema } from './schema.js';

const MAX_CONNECTIONS = 4;
const MIGRATION_LOCK_TABLE = 'jwtctl_migration_lock';

/**
 * A pool that connects with the first query. Every query ends within the time-out, whether or not a byte comes from the
 * server, and so does closing; every error is a JwtctlError, but those that are defects of ours.
 */
export function openMysql(options: MysqlOptions): OpenedMysql {
  const pool = new TimedPool(options);
  const db = new KyselyDatabase<Schema>({ dialect: new PooledMysqlDialect(pool) });
  return { db, redial: () => pool.redial(), close: () => db.destroy() };
}

export interface OpenedMysql {
  db: Kysely<Schema>;
  /** Stops using the open connections once their current queries end. The next query opens a new one. */
  redial(): void;
  close(): Promise<void>;
}

interface Limits {
  /** How long the server waits for another session's lock. */
  lockWaitSeconds: number;
  /** How long this side waits for an answer. */
  queryMs: number;
}

/** The server gives up well before this side does: only then is a lock of another session told from a server that is silent. */
function limitsOf(timeoutMs: number): Limits {
  const lockWaitSeconds = Math.max(1, Math.floor(timeoutMs / 2000));
  return { lockWaitSeconds, queryMs: Math.max(timeoutMs, (lockWaitSeconds + 1) * 1000) };
}

class PooledMysqlDialect extends MysqlDialect {
  readonly #locks: TimedPool;

  constructor(pool: TimedPool) {
    super({ pool });
    this.#locks = pool;
  }

  override createAdapter(): MysqlAdapter {
    return new RowLockMysqlAdapter(this.#locks);
  }
}

/**
 * Kysely locks migrations with GET_LOCK, which some clusters forbid. Here the lock is a row, held by an open transaction
 * on a connection of its own (DDL on the migrating connection would commit it): a killed process lets go of it.
 */
class RowLockMysqlAdapter extends MysqlAdapter {
  readonly #pool: TimedPool;
  #holder: TimedConnection | undefined;

  constructor(pool: TimedPool) {
    super();
    this.#pool = pool;
  }

  override async acquireMigrationLock(): Promise<void> {
    const connection = await this.#pool.connect();
    try {
      await connection.run('begin');
      await retryConflicts(() => connection.run(`update ${MIGRATION_LOCK_TABLE} set is_locked = is_locked`));
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

type QueryCallback = (error: unknown, result: unknown) => void;

/**
 * Gives Kysely prepared connections, with a limit on their number and a timeout on every wait.
 * mysql2's own pool keeps the password and certificates that it started with.
 */
class TimedPool {
  readonly #options: MysqlOptions;
  readonly #server: MysqlServer;
  readonly #limits: Limits;
  readonly #sockets = new Set<Socket>();
  readonly #open = new Set<TimedConnection>();
  readonly #idle: TimedConnection[] = [];
  readonly #waiting: Waiting[] = [];
  /** Connections that are open, are being opened, or may be opened by a caller that has that right. */
  #size = 0;
  /** Connections from before the last {@link redial} that are still in use. */
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

  /** Waits for a free connection, no longer than for a reply. */
  connect(): Promise<TimedConnection> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { isGivenUp: false, take: () => {} };
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

  /**
   * A connection ends with QUIT, which comes after the queries that are under way, and with the server's hanging up. A
   * silent server does neither, and its sockets would keep the process from ending.
   */
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
      waiting.take = resolve;
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
    else waiting.take(connection);
  }

  #forget(connection: TimedConnection): void {
    if (!this.#open.delete(connection)) return;
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
    this.#free();
  }

  /** Counts one connection less, and lets the next waiting caller open a new one. */
  #free(): void {
    const waiting = this.#nextWaiting();
    if (waiting === undefined) this.#size -= 1;
    else waiting.take(null);
  }

  #nextWaiting(): Waiting | undefined {
    let waiting = this.#waiting.shift();
    while (waiting?.isGivenUp) waiting = this.#waiting.shift();
    return waiting;
  }
}

interface Waiting {
  isGivenUp: boolean;
  /** Takes a connection, or null for the right to open one. */
  take(connection: TimedConnection | null): void;
}

interface ConnectionEvents {
  onReleased(): void;
  onLost(): void;
  /** Called when the server rejects writes: after a switchover, open connections stay with the old primary. */
  onReadOnly(): void;
}

class TimedConnection {
  readonly #connection: Connection;
  readonly #server: MysqlServer;
  readonly #limits: Limits;
  readonly #events: ConnectionEvents;
  /** Why the connection cannot be used any more. */
  #failure: { error: unknown } | undefined;

  constructor(connection: Connection, server: MysqlServer, limits: Limits, events: ConnectionEvents) {
    this.#connection = connection;
    this.#server = server;
    this.#limits = limits;
    this.#events = events;
    connection.once('end', events.onLost);
    connection.once('error', events.onLost);
  }

  query(sql: string, values: readonly unknown[], callback: QueryCallback): void;
  query(sql: string, values: readonly unknown[]): never;
  query(sql: string, values: readonly unknown[], callback?: QueryCallback): void {
    if (callback === undefined) {
      throw new JwtctlError(
        'bug',
        'ERR_UNREACHABLE',
        'Results are read page by page, not streamed by the driver.',
      );
    }
    if (this.#failure !== undefined) {
      callback(this.#failure.error, undefined);
      return;
    }

    let isWaiting = true;
    const answer: QueryCallback = (error, result) => {
      if (!isWaiting) return;
      isWaiting = false;
      clearTimeout(timer);
      callback(error, result);
    };
    // mysql2's own time-out begins when the server is sent the command (3.24.6): what waits behind a silent one has none.
    const timer = setTimeout(() => answer(this.#fail(noAnswer()), undefined), this.#limits.queryMs);
    this.#connection.query({ sql, values: [...values] }, (error, result) => {
      if (!error) answer(null, result);
      else if (error.fatal) answer(this.#fail(error), undefined);
      else if (isReadOnly(error)) answer(this.#failReadOnly(error), undefined);
      else answer(translateMysqlError(error, this.#server), undefined);
    });
  }

  run(sql: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.query(sql, [], (error) => (error ? reject(error) : resolve()));
    });
  }

  release(): void {
    if (this.#failure === undefined) this.#events.onReleased();
  }

  /** Closes with QUIT once the current queries are answered. */
  end(): void {
    this.#connection.end();
  }

  /**
   * At once, and out of the pool. mysql2 closes its own half of the socket alone (3.24.6); a server that is silent never
   * closes the other, and the process would not end.
   */
  destroy(): void {
    this.#connection.destroy();
    (this.#connection as unknown as { stream: Socket }).stream.destroy();
    this.#events.onLost();
  }

  /**
   * Sets up the session before any query, because the driver's escaping relies on the SQL mode.
   *
   * READ COMMITTED, because a transaction that begins with a guarded update must then read what others have committed.
   * The SQL mode is set because a server with NO_BACKSLASH_ESCAPES would misread the driver's escaped values, and because
   * a mode without STRICT cuts over-long values in silence. A server with `autocommit` off would never commit what is
   * written outside of a transaction, and keep the tables locked that are read there. Both kinds of lock are waited for
   * equally long: of rows (`innodb_…`) and of whole tables.
   *
   * @throws JwtctlError `ERR_MYSQL_SESSION` (unavailable) if the server refuses the settings, and the errors of a query
   */
  async prepare(): Promise<void> {
    const { lockWaitSeconds } = this.#limits;
    try {
      await this.run('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
      await this.run("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1");
      await this.run(
        `SET SESSION innodb_lock_wait_timeout = ${lockWaitSeconds}, lock_wait_timeout = ${lockWaitSeconds}`,
      );
    } catch (error) {
      const refusal = error instanceof JwtctlError ? error : sessionRefused(error as Error, this.#server);
      throw this.#fail(refusal);
    }
  }

  #failReadOnly(error: Error): unknown {
    this.#events.onReadOnly();
    return this.#fail(error);
  }

  /** Nothing more is sent on this connection: an answer to what was asked before may still be on its way. */
  #fail(error: Error): unknown {
    this.#failure ??= { error: translateMysqlError(error, this.#server) };
    this.destroy();
    return this.#failure.error;
  }
}

function noAnswer(): Error {
  return Object.assign(new Error('No answer in time'), { code: 'ETIMEDOUT' });
}
