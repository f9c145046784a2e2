import type { Socket } from 'node:net';
import type { Connection } from 'mysql2';
import { JwtctlError } from '../../../domain/shared/errors.js';
import {
  isAnswer,
  isReadOnly,
  type MysqlServer,
  sessionRefused,
  translateMysqlError,
} from './mysql-errors.js';

export interface Limits {
  lockWaitSeconds: number;
  queryMs: number;
}

type QueryCallback = (error: unknown, result: unknown) => void;

export interface ConnectionEvents {
  onReleased(): void;
  onLost(): void;
  /** After a switchover, open connections stay with the old primary, which rejects writes. */
  onReadOnly(): void;
}

export class TimedConnection {
  readonly #connection: Connection;
  readonly #server: MysqlServer;
  readonly #limits: Limits;
  readonly #events: ConnectionEvents;
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
      throw new JwtctlError('ERR_BUG', 'Streaming is not supported. Read results page by page.');
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
    // mysql2's timeout (3.24.6) does not cover commands that wait behind an unanswered one.
    const timer = setTimeout(() => answer(this.#fail(noAnswer()), undefined), this.#limits.queryMs);
    this.#connection.query({ sql, values: [...values] }, (error, result) => {
      if (!error) answer(null, result);
      else if (error.fatal || !isAnswer(error)) answer(this.#fail(error), undefined);
      else if (isReadOnly(error)) answer(this.#failReadOnly(error), undefined);
      else answer(translateMysqlError(error, this.#server, sql), undefined);
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

  end(): void {
    this.#connection.end();
  }

  /** mysql2 closes only its side of the socket (3.24.6). A silent server would keep the process running. */
  destroy(): void {
    this.#connection.destroy();
    (this.#connection as unknown as { stream: Socket }).stream.destroy();
    this.#events.onLost();
  }

  /**
   * Sets up the session before the first query:
   * - READ COMMITTED, because a transaction that starts with a guarded update must then read what others have
   *   committed
   * - the SQL mode, because NO_BACKSLASH_ESCAPES breaks the driver's escaping, and a mode without STRICT
   *   truncates overlong values silently
   * - `autocommit`, because without it, statements outside transactions are never committed and keep their
   *   locks
   * - the same wait for locks on rows (`innodb_…`) and on tables
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

  /** Never reuses the connection, because the answer to an earlier query may still arrive. */
  #fail(error: Error): unknown {
    this.#failure ??= { error: translateMysqlError(error, this.#server) };
    this.destroy();
    return this.#failure.error;
  }
}

export function noAnswer(): Error {
  return Object.assign(new Error('No answer in time'), { code: 'ETIMEDOUT' });
}
