import { accessSync, closeSync, constants, openSync, statSync } from 'node:fs';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Kysely,
  Kysely as KyselyDatabase,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
} from 'kysely';
import Database from 'libsql';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Schema } from '../schema.js';
import { ConflictError, duplicateKeyError } from '../stores/conflicts.js';

export interface SqliteOptions {
  file: string;
  timeoutMs: number;
}

/** Opens the embedded store; a file that is not there yet is made, readable by its owner alone. `:memory:` makes none. */
export function openSqlite(options: SqliteOptions): { db: Kysely<Schema>; close(): Promise<void> } {
  const connection = translated(options, () => {
    if (options.file !== ':memory:') makePrivate(options.file);
    const database = new Database(options.file, { timeout: options.timeoutMs });
    // WAL: readers go on while one writes. FULL: a commit that was answered survives a power cut.
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    return database;
  });
  const db = new KyselyDatabase<Schema>({ dialect: new EmbeddedDialect(guarded(connection, options)) });
  return { db, close: () => db.destroy() };
}

/**
 * SQLite would make it 0644; its -wal and -shm files take over the mode of this one.
 *
 * A file that exists is not opened here: closing it would drop every lock that this process holds on it by way of SQLite
 * (POSIX advisory locks are a process's, not a descriptor's), and another process would take the log away from under
 * connections that are open.
 */
function makePrivate(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // libsql has one word for all that is wrong with it.
    accessSync(file, constants.R_OK | constants.W_OK);
    if (statSync(file).isDirectory()) throw Object.assign(new Error('It is a folder.'), { code: 'EISDIR' });
  }
}

class EmbeddedDialect extends SqliteDialect {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    super({ database });
    this.#database = database;
  }

  override createAdapter(): SqliteAdapter {
    return new TransactionalDdlAdapter();
  }

  override createDriver(): SqliteDriver {
    return new ImmediateDriver({ database: this.#database });
  }
}

/**
 * SQLite's DDL is transactional. Telling Kysely so makes all migrations one BEGIN IMMEDIATE, which is the lock that Kysely
 * does not take on SQLite: of many first uses at once one migrates and the others find it done.
 */
class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** A deferred BEGIN that reads and then writes fails at once beside another writer, whatever the busy time-out; this one waits. */
class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }
}

/** The same database with every error translated. */
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

/**
 * libsql's error as one of ours, by its code alone. What is not known here is a defect: the statements are ours, but for
 * those of `user-table.ts`.
 */
function translateSqliteError(error: Error & { code?: string }, { file, timeoutMs }: SqliteOptions): unknown {
  const code = error.code ?? '';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
    return new ConflictError(`The file ${file}`, error, timeoutMs);
  if (code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY')
    return duplicateKeyError(error);
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return new JwtctlError(
      'ERR_DATA_FILE_INVALID',
      `The file ${file} is not a sound SQLite database (${code}).`,
      {
        hint: 'Point `data` (JWTCTL_DATA) to another file, or restore this one from a backup.',
        cause: error,
      },
    );
  }
  if (/^(SQLITE_(CANTOPEN|READONLY|FULL|IOERR|PERM|NOLFS)|E[A-Z]+$)/.test(code)) {
    return new JwtctlError('ERR_DATA_FILE_UNAVAILABLE', `The file ${file} cannot be used (${code}).`, {
      hint: 'Check that its folder exists and may be written by you, and that the disk has room.',
      cause: error,
    });
  }
  return error;
}
