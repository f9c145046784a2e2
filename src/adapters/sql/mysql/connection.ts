import type { Socket } from 'node:net';
import type { Connection } from 'mysql2';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { isReadOnly, type MysqlServer, sessionRefused, translateMysqlError } from './errors.js';

export interface Limits {
  /** How long the server waits for another session's lock. */
  lockWaitSeconds: number;
  /** How long this side waits for an answer. */
  queryMs: number;
}

type QueryCallback = (error: unknown, result: unknown) => void;

export interface ConnectionEvents {
  onReleased(): void;
  onLost(): void;
  /** Called when the server rejects writes: after a switchover, open connections stay with the old primary. */
  onReadOnly(): void;
}

/** One connection, on which every query ends within the time-out. */
export class TimedConnection {
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
      throw new JwtctlError('ERR_BUG', 'Results are read page by page, not streamed by the driver.');
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
   * @throws JwtctlError `ERR_MYSQL_SESSION_REFUSED` (unavailable) if the server refuses the settings, and the errors of a query
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

export function noAnswer(): Error {
  return Object.assign(new Error('No answer in time'), { code: 'ETIMEDOUT' });
}
