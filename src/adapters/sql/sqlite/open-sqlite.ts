import { accessSync, closeSync, constants, openSync, statSync } from 'node:fs';
import {
  type Kysely,
  Kysely as KyselyDatabase,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
} from 'kysely';
import Database from 'libsql';
import type { RecordCall } from '../../../domain/ports/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { queryLog } from '../query-log.js';
import type { Schema } from '../schema.js';
import { ConflictError, duplicateKeyError } from '../stores/conflicts.js';

export interface SqliteOptions {
  file: string;
  timeoutMs: number;
  recordCall?: RecordCall | undefined;
}

/** Creates a missing file, readable only by its owner. */
export function openSqlite(options: SqliteOptions): { db: Kysely<Schema>; close(): Promise<void> } {
  const connection = translated(options, () => {
    if (options.file !== ':memory:') makePrivate(options.file);
    const database = new Database(options.file, { timeout: options.timeoutMs });
    // WAL: readers continue while one connection writes. FULL: a committed transaction survives a power cut.
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    return database;
  });
  const begin = () => translated(options, () => void connection.exec('begin immediate'));
  const db = new KyselyDatabase<Schema>({
    dialect: new EmbeddedDialect(guarded(connection, options), begin),
    log: queryLog('sqlite', options.recordCall),
  });
  return { db, close: () => db.destroy() };
}

/**
 * SQLite would create the file with mode 0644. Its -wal and -shm files get the mode of this file.
 *
 * Never opens an existing file: closing it would release all SQLite locks of this process on it, because
 * POSIX advisory locks belong to a process. Another process could then remove the log of open connections.
 */
function makePrivate(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // libsql reports the same code for all these failures.
    accessSync(file, constants.R_OK | constants.W_OK);
    if (statSync(file).isDirectory()) throw Object.assign(new Error('It is a folder.'), { code: 'EISDIR' });
  }
}

class EmbeddedDialect extends SqliteDialect {
  readonly #database: SqliteDatabase;
  readonly #begin: () => void;

  constructor(database: SqliteDatabase, begin: () => void) {
    super({ database });
    this.#database = database;
    this.#begin = begin;
  }

  override createAdapter(): SqliteAdapter {
    return new TransactionalDdlAdapter();
  }

  override createDriver(): SqliteDriver {
    return new ImmediateDriver({ database: this.#database }, this.#begin);
  }
}

/** Makes Kysely run all migrations in one BEGIN IMMEDIATE, in place of the lock that it lacks on SQLite. */
class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** A deferred BEGIN that reads and then writes fails at once next to another writer. */
class ImmediateDriver extends SqliteDriver {
  readonly #begin: () => void;

  /** @param begin not a prepared statement: if that fails, it stays open, and the connection reads old rows (libsql 0.5) */
  constructor(config: SqliteDialectConfig, begin: () => void) {
    super(config);
    this.#begin = begin;
  }

  override async beginTransaction(): Promise<void> {
    this.#begin();
  }
}

function guarded(database: InstanceType<typeof Database>, options: SqliteOptions): SqliteDatabase {
  return {
    close: () => database.close(),
    prepare(sql) {
      const statement = translated(options, () => database.prepare(sql));
      return {
        reader: statement.reader,
        all: (parameters) => translated(options, () => statement.all([...parameters])),
        run: (parameters) =>
          translated(options, () => statement.run([...parameters])) as ReturnType<
            ReturnType<SqliteDatabase['prepare']>['run']
          >,
        iterate: (parameters) =>
          translated(options, () => statement.iterate([...parameters])) as IterableIterator<unknown>,
      };
    },
  };
}

function translated<T>(options: SqliteOptions, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw translateSqliteError(error as Error & { code?: string }, options);
  }
}

/** Unknown errors are defects, except for the SQL of `user-table.ts`. */
function translateSqliteError(error: Error & { code?: string }, { file, timeoutMs }: SqliteOptions): unknown {
  const code = error.code ?? '';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
    return new ConflictError(`The file ${file}`, error, timeoutMs);
  if (code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY')
    return duplicateKeyError(error);
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    const message = `The file ${file} is not a valid SQLite database (${code}).`;
    return new JwtctlError('ERR_DATA_FILE_INVALID', message, { cause: error });
  }
  if (/^(SQLITE_(CANTOPEN|READONLY|FULL|IOERR|PERM|NOLFS)|E[A-Z]+$)/.test(code)) {
    return new JwtctlError('ERR_DATA_FILE_UNAVAILABLE', `The file ${file} cannot be used (${code}).`, {
      cause: error,
    });
  }
  return error;
}
