import { join } from 'node:path';
import type { Kysely } from 'kysely';
import type { Engine } from '../../src/adapters/sql/migrations/index.js';
import { migrate } from '../../src/adapters/sql/migrations/migrator.js';
import type { Schema } from '../../src/adapters/sql/schema.js';
import { openSqlite } from '../../src/adapters/sql/sqlite/open-sqlite.js';
import { openMysqlWithPassword } from './open-mysql.js';
import { freshMysqlDatabase } from './servers.js';
import { temporaryFolder } from './temporary-folder.js';

/** An SQL engine for the durable stores. */
export interface SqlEngine {
  name: string;
  engine: Engine;
  /** Creates a database without tables. */
  create(): Promise<SqlDatabaseUnderTest>;
}

export interface SqlDatabaseUnderTest {
  engine: Engine;
  /** A file name or a `mysql://` URL. */
  address: string;
  db: Kysely<Schema>;
  /** Opens another client of the same database, as another process would. */
  connect(): Kysely<Schema>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 10_000;

export const sqlite: SqlEngine = {
  name: 'SQLite',
  engine: 'sqlite',
  create: async () => {
    const folder = await temporaryFolder();
    const file = join(folder.path, 'jwtctl.db');
    return opened('sqlite', file, () => openSqlite({ file, timeoutMs: TIMEOUT_MS }), folder.remove);
  },
};

export const mariadb: SqlEngine = {
  name: 'MariaDB',
  engine: 'mysql',
  create: async () => {
    const { url, drop } = await freshMysqlDatabase();
    return opened('mysql', url, () => openMysqlWithPassword(url, TIMEOUT_MS), drop);
  },
};

/** Creates a database with the tables of this version. */
export async function createMigrated({ create, engine }: SqlEngine): Promise<SqlDatabaseUnderTest> {
  const database = await create();
  await migrate(database.db, engine);
  return database;
}

function opened(
  engine: Engine,
  address: string,
  open: () => { db: Kysely<Schema>; close(): Promise<void> },
  drop: () => Promise<void>,
): SqlDatabaseUnderTest {
  const clients: Array<{ close(): Promise<void> }> = [];
  const connect = () => {
    const client = open();
    clients.push(client);
    return client.db;
  };
  const close = async () => {
    await Promise.all(clients.map((client) => client.close()));
    await drop();
  };
  return { engine, address, db: connect(), connect, close };
}
