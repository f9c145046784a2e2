import { type Kysely, Kysely as KyselyDatabase, MysqlAdapter, MysqlDialect } from 'kysely';
import mysql, { type Pool, type PoolConnection, type PoolOptions } from 'mysql2';
import { JwtctlError } from '../../domain/errors.js';
import { translateMysqlError } from './mysql-errors.js';
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

/** A pool that connects with the first query. Every call ends within the time-out, and every error is a JwtctlError. */
export function openMysql(options: MysqlOptions): { db: Kysely<Schema>; close(): Promise<void> } {
  const url = new URL(options.url);
  const pool = mysql.createPool(poolOptions(url, options));
  pool.on('connection', (connection) => prepareSession(connection as unknown as PoolConnection, options));
  const db = new KyselyDatabase<Schema>({ dialect: new PooledMysqlDialect(pool, url, options.timeoutMs) });
  return { db, close: () => db.destroy() };
}

function poolOptions(url: URL, options: MysqlOptions): PoolOptions {
  const password = options.password ?? decodeURIComponent(url.password);
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 3306 : Number(url.port),
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

/**
 * READ COMMITTED, because a transaction that begins with a guarded update must then read what others have committed.
 * The SQL mode is set because a server with NO_BACKSLASH_ESCAPES would misread the driver's escaped values, and because
 * a mode without STRICT cuts over-long values in silence.
 */
function prepareSession(connection: PoolConnection, options: MysqlOptions): void {
  const lockWaitSeconds = Math.max(1, Math.ceil(options.timeoutMs / 1000));
  // A failure surfaces with the query that follows on the same connection.
  const ignore = () => {};
  connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', ignore);
  connection.query("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'", ignore);
  connection.query(`SET SESSION innodb_lock_wait_timeout = ${lockWaitSeconds}`, ignore);
}

class PooledMysqlDialect extends MysqlDialect {
  readonly #locks: TimedPool;

  constructor(pool: Pool, url: URL, timeoutMs: number) {
    const timed = new TimedPool(pool, url, timeoutMs);
    super({ pool: timed });
    this.#locks = timed;
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
      await connection.run(`update ${MIGRATION_LOCK_TABLE} set is_locked = is_locked`);
    } catch (error) {
      connection.release();
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

/** What Kysely sees of the pool: each query with its time-out, each error translated. */
class TimedPool {
  readonly #pool: Pool;
  readonly #url: URL;
  readonly #timeoutMs: number;

  constructor(pool: Pool, url: URL, timeoutMs: number) {
    this.#pool = pool;
    this.#url = url;
    this.#timeoutMs = timeoutMs;
  }

  // biome-ignore lint/suspicious/noExplicitAny: Kysely's own signature for a pool's callback
  getConnection(callback: (error: unknown, connection: any) => void): void {
    this.#pool.getConnection((error, connection) => {
      if (error) callback(translateMysqlError(error, this.#url), undefined);
      else callback(null, this.#timed(connection));
    });
  }

  connect(): Promise<TimedConnection> {
    return new Promise((resolve, reject) => {
      this.getConnection((error, connection) => (error ? reject(error) : resolve(connection)));
    });
  }

  end(callback: (error: unknown) => void): void {
    this.#pool.end((error) => callback(error));
  }

  // One wrapper per connection: Kysely keeps what it knows of a connection by its identity.
  readonly #wrappers = new WeakMap<PoolConnection, TimedConnection>();

  #timed(connection: PoolConnection): TimedConnection {
    let wrapper = this.#wrappers.get(connection);
    if (wrapper === undefined) {
      wrapper = new TimedConnection(connection, this.#url, this.#timeoutMs);
      this.#wrappers.set(connection, wrapper);
    }
    return wrapper;
  }
}

class TimedConnection {
  readonly #connection: PoolConnection;
  readonly #url: URL;
  readonly #timeoutMs: number;
  #timedOut = false;

  constructor(connection: PoolConnection, url: URL, timeoutMs: number) {
    this.#connection = connection;
    this.#url = url;
    this.#timeoutMs = timeoutMs;
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
    this.#connection.query({ sql, values: [...values], timeout: this.#timeoutMs }, (error, result) => {
      if (error?.code === 'PROTOCOL_SEQUENCE_TIMEOUT') this.#timedOut = true;
      if (error) callback(translateMysqlError(error, this.#url), undefined);
      else callback(null, result);
    });
  }

  run(sql: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.query(sql, [], (error) => (error ? reject(error) : resolve()));
    });
  }

  /** After a time-out the late answer is still on its way: such a connection is not used again. */
  release(): void {
    if (this.#timedOut) this.#connection.destroy();
    else this.#connection.release();
  }
}
