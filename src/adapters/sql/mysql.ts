import { connect, type Socket } from 'node:net';
import { type Kysely, Kysely as KyselyDatabase, MysqlAdapter, MysqlDialect } from 'kysely';
import mysql, { type Pool, type PoolConnection, type PoolOptions } from 'mysql2';
import { JwtctlError } from '../../domain/errors.js';
import { retryConflicts } from './conflicts.js';
import { type MysqlServer, sessionRefused, translateMysqlError } from './mysql-errors.js';
import type { Schema } from './schema.js';

export interface MysqlOptions {
  /** `mysql://user[:password]@host[:port]/database` */
  url: string;
  /** Instead of one in the URL. */
  password?: string;
  /** PEM contents. Present at all: TLS, with the server's certificate checked. */
  tls?: { ca?: string; cert?: string; key?: string };
  timeoutMs: number;
}

const MAX_CONNECTIONS = 4;
const MIGRATION_LOCK_TABLE = 'jwtctl_migration_lock';

/**
 * A pool that connects with the first query. Every query ends within the time-out, whether or not a byte comes from the
 * server, and so does closing; every error is a JwtctlError, but those that are defects of ours.
 */
export function openMysql(options: MysqlOptions): { db: Kysely<Schema>; close(): Promise<void> } {
  const url = new URL(options.url);
  const limits = limitsOf(options.timeoutMs);
  const sockets = new Set<Socket>();
  const pool = mysql.createPool(poolOptions(url, options, sockets));
  const timed = new TimedPool(pool, sockets, { url, retryForMs: options.timeoutMs }, limits);
  const db = new KyselyDatabase<Schema>({ dialect: new PooledMysqlDialect(timed) });
  return { db, close: () => db.destroy() };
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

function poolOptions(url: URL, options: MysqlOptions, sockets: Set<Socket>): PoolOptions {
  const password = options.password ?? decodeURIComponent(url.password);
  const address = {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 3306 : Number(url.port),
  };
  return {
    ...address,
    stream: () => {
      const socket = connect({ ...address, noDelay: true, keepAlive: true });
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      return socket;
    },
    user: decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    ...(password === '' ? {} : { password }),
    ...(options.tls === undefined
      ? {}
      : { ssl: { ...options.tls, rejectUnauthorized: true, verifyIdentity: true } }),
    charset: 'utf8mb4',
    connectTimeout: options.timeoutMs,
    connectionLimit: MAX_CONNECTIONS,
    // VARBINARY comes as a Buffer otherwise. All our binary columns hold UTF-8, and an adopter's user column is compared as such.
    typeCast: (field, next) =>
      field.type === 'VAR_STRING' || field.type === 'STRING' ? field.string('utf8') : next(),
  };
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

/** What Kysely sees of the pool: every wait has an end, every session is set up, each error is translated. */
class TimedPool {
  readonly #pool: Pool;
  readonly #sockets: Set<Socket>;
  readonly #server: MysqlServer;
  readonly #limits: Limits;
  // One wrapper per connection: Kysely keeps what it knows of a connection by its identity.
  readonly #wrappers = new WeakMap<PoolConnection, TimedConnection>();

  constructor(pool: Pool, sockets: Set<Socket>, server: MysqlServer, limits: Limits) {
    this.#pool = pool;
    this.#sockets = sockets;
    this.#server = server;
    this.#limits = limits;
  }

  // biome-ignore lint/suspicious/noExplicitAny: Kysely's own signature for a pool's callback
  getConnection(callback: (error: unknown, connection: any) => void): void {
    this.connect().then(
      (connection) => callback(null, connection),
      (error) => callback(error, undefined),
    );
  }

  async connect(): Promise<TimedConnection> {
    const connection = this.#timed(await this.#acquire());
    await connection.prepare();
    return connection;
  }

  /** The pool itself would have a caller wait for a free connection however long the others take. */
  #acquire(): Promise<PoolConnection> {
    return new Promise((resolve, reject) => {
      let isWaiting = true;
      const timer = setTimeout(() => {
        isWaiting = false;
        reject(translateMysqlError(noAnswer(), this.#server));
      }, this.#limits.queryMs);
      this.#pool.getConnection((error, connection) => {
        clearTimeout(timer);
        if (error) reject(translateMysqlError(error, this.#server));
        else if (isWaiting) resolve(connection);
        else connection.release();
      });
    });
  }

  /**
   * A connection ends with QUIT, which comes after the queries that are under way, and with the server's hanging up. A
   * silent server does neither, and its sockets would keep the process from ending.
   */
  end(callback: (error: unknown) => void): void {
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
    this.#pool.end(() => {});
  }

  #timed(connection: PoolConnection): TimedConnection {
    let wrapper = this.#wrappers.get(connection);
    if (wrapper === undefined) {
      wrapper = new TimedConnection(connection, this.#server, this.#limits);
      this.#wrappers.set(connection, wrapper);
    }
    return wrapper;
  }
}

class TimedConnection {
  readonly #connection: PoolConnection;
  readonly #server: MysqlServer;
  readonly #limits: Limits;
  #prepared: Promise<void> | undefined;
  /** Why the connection cannot be used any more. */
  #failure: { error: unknown } | undefined;

  constructor(connection: PoolConnection, server: MysqlServer, limits: Limits) {
    this.#connection = connection;
    this.#server = server;
    this.#limits = limits;
  }

  /**
   * Sets the session up, once. Without it no query is run: the driver's escaping relies on the SQL mode.
   *
   * @throws JwtctlError `ERR_MYSQL_SESSION` (unavailable) where the server refuses, and what a query throws
   */
  prepare(): Promise<void> {
    this.#prepared ??= this.#setUp();
    return this.#prepared;
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
      else answer(translateMysqlError(error, this.#server), undefined);
    });
  }

  run(sql: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.query(sql, [], (error) => (error ? reject(error) : resolve()));
    });
  }

  release(): void {
    if (this.#failure === undefined) this.#connection.release();
  }

  /**
   * At once, and out of the pool. mysql2 closes its own half of the socket alone (3.24.6); a server that is silent never
   * closes the other, and the process would not end.
   */
  destroy(): void {
    this.#connection.destroy();
    (this.#connection as unknown as { stream: Socket }).stream.destroy();
  }

  /**
   * READ COMMITTED, because a transaction that begins with a guarded update must then read what others have committed.
   * The SQL mode is set because a server with NO_BACKSLASH_ESCAPES would misread the driver's escaped values, and because
   * a mode without STRICT cuts over-long values in silence. A server with `autocommit` off would never commit what is
   * written outside of a transaction, and keep the tables locked that are read there. Both kinds of lock are waited for
   * equally long: of rows (`innodb_…`) and of whole tables.
   */
  async #setUp(): Promise<void> {
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
