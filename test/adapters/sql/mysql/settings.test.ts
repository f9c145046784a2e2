import { sql } from 'kysely';
import { createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { migrate } from '../../../../src/adapters/sql/migrations/migrator.js';
import { sqlDatabase } from '../../../../src/adapters/sql/stores/database.js';
import { openMysqlWithPassword } from '../../../support/open-mysql.js';
import { startMysql } from '../../../support/servers.js';

const DATABASE = 'settings';
let server: Awaited<ReturnType<typeof startMysql>>;
const closers: Array<() => Promise<void>> = [];
beforeAll(async () => {
  server = await startMysql();
  await administer(`CREATE DATABASE ${DATABASE}`);
});
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});
afterAll(() => server?.stop());

async function administer(...statements: string[]): Promise<void> {
  const connection = await createConnection(server.url);
  try {
    for (const statement of statements) await connection.query(statement);
  } finally {
    await connection.end();
  }
}

function connect(account: { name?: string; password?: string } = {}) {
  const url = new URL(server.url);
  url.pathname = `/${DATABASE}`;
  if (account.name !== undefined) url.username = account.name;
  if (account.password !== undefined) url.password = account.password;
  const { db, close } = openMysqlWithPassword(url.href, 3_000);
  closers.push(close);
  return db;
}

test('a server is reached through its socket', async () => {
  const connection = await createConnection(server.url);
  const [rows] = await connection.query('SELECT @@socket AS path');
  await connection.end();
  const { username, password } = new URL(server.url);
  const path = encodeURIComponent((rows as Array<{ path: string }>)[0]?.path ?? '');
  const open = (socket: string) => {
    const url = `mysql://${username}:${password}@localhost/${DATABASE}?socket=${socket}`;
    const { db, close } = openMysqlWithPassword(url, 3_000);
    closers.push(close);
    return sql`select 1`.execute(db);
  };
  await open(path);
  await expect(open(`${path}.gone`)).rejects.toMatchObject({
    code: 'ERR_MYSQL_UNREACHABLE',
    message: expect.stringContaining('.gone'),
  });
});

/** The setting applies to the whole server, so these tests start their own. */
describe('a server with autocommit off', () => {
  beforeAll(() => administer('SET GLOBAL autocommit = 0'));
  afterAll(() => administer('SET GLOBAL autocommit = 1'));

  test('migrates, and commits writes outside of a transaction', async () => {
    await migrate(connect(), 'mysql');
    await sqlDatabase(connect()).users.add({ sub: 'alice', name: null, at: 1 });
    expect(await sqlDatabase(connect()).users.find('alice')).toMatchObject({ sub: 'alice' });
  });

  test('leaves no table locked after a read', async () => {
    await migrate(connect(), 'mysql');
    await connect().selectFrom('users').selectAll().execute();
    await sql`alter table users add column note int`.execute(connect());
  });
});

describe('a login', () => {
  const name = 'someone';
  const password = 'geheim';

  // MariaDB has a server setting for this, MySQL an option of the account.
  beforeAll(() => administer('SET GLOBAL /*M! max_password_errors = 1, */ max_connect_errors = 100'));
  afterEach(() => administer(`DROP USER ${name}`));

  async function createAccount(clause: string): Promise<void> {
    await administer(
      `CREATE USER ${name} IDENTIFIED BY '${password}' ${clause}`,
      `GRANT ALL ON ${DATABASE}.* TO ${name}`,
    );
  }

  function isRefused(given: string): Promise<void> {
    const query = sql`select 1`.execute(connect({ name, password: given }));
    return expect(query).rejects.toMatchObject({ kind: 'unavailable', code: 'ERR_MYSQL_AUTH' });
  }

  test('to a locked account is refused, not reported as a bug', async () => {
    await createAccount('ACCOUNT LOCK');
    await isRefused(password);
  });

  test('with an expired password is refused, not reported as a bug', async () => {
    await createAccount('PASSWORD EXPIRE');
    await isRefused(password);
  });

  test('after too many wrong passwords is refused, not reported as a bug', async () => {
    await createAccount('/*!80019 FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1 */');
    await isRefused('wrong');
    await isRefused(password);
  });
});
