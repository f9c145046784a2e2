import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cli, cli, temporaryFolder } from '../support/cli.js';
import { freshMysqlDatabase, freshPrefix, redisNodes } from '../support/servers.js';
import { writeMasterKey } from '../support/stores.js';

let database: Awaited<ReturnType<typeof freshMysqlDatabase>>;
const masterKey = writeMasterKey(temporaryFolder());
beforeAll(async () => {
  database = await freshMysqlDatabase();
});
afterAll(() => database?.drop());

async function query(statement: string): Promise<Array<Record<string, unknown>>> {
  const connection = await createConnection(database.url);
  const [rows] = await connection.query(statement).finally(() => connection.end());
  return rows as Array<Record<string, unknown>>;
}

const tables = async () =>
  (await query('SHOW TABLES')).flatMap((row) => Object.values(row).map(String)).sort();

function shellWith(env: Record<string, string>): Cli {
  return cli({
    env: {
      ...{ JWTCTL_MYSQL_URL: database.url, JWTCTL_MASTER_KEY_FILE: masterKey },
      ...{ JWTCTL_REDIS_NODES: redisNodes().join(','), JWTCTL_REDIS_PREFIX: freshPrefix() },
      ...env,
    },
  });
}

test('a migration that is refused leaves nothing behind, and a dry run refuses it too', async () => {
  await query('CREATE TABLE users (id INT)');
  const shell = shellWith({});
  for (const flags of [['-n'], []]) {
    const { exitCode, error } = await shell.run('db', 'migrate', ...flags, '--json');
    expect([exitCode, error().code]).toEqual([3, 'ERR_TABLE_EXISTS']);
    expect(error().message).toContain("'users'");
  }
  expect(await tables()).toEqual(['users']);
});

test('with a prefix, several can share a database with other programs', async () => {
  await query('INSERT INTO users VALUES (7)');
  const [one, two] = [
    shellWith({ JWTCTL_MYSQL_TABLE_PREFIX: 'a_' }),
    shellWith({ JWTCTL_MYSQL_TABLE_PREFIX: 'b_' }),
  ];
  const planned = await one.json('db', 'migrate', '-n');
  expect(await tables()).toEqual(['users']);
  expect(await one.json('db', 'migrate')).toEqual({ applied: planned.wouldApply });
  await two.json('db', 'migrate');
  const names = [
    ...['audit_head', 'audit_log', 'event_consumers', 'jwtctl_migration', 'jwtctl_migration_lock'],
    ...['keystore', 'keystore_revision', 'security_log', 'users'],
  ];
  expect(await tables()).toEqual(
    [...names.map((name) => `a_${name}`), ...names.map((name) => `b_${name}`), 'users'].sort(),
  );
  expect((await one.json('db', 'status')).pending).toEqual([]);

  await one.json('keys', 'generate');
  await one.json('users', 'add', 'alice');
  const { token } = await one.json('token', 'issue', '--sub', 'alice');
  expect((await one.json('token', 'verify', token)).active).toBe(true);
  await one.json('keys', 'rotate');
  await one.json('token', 'revoke', token, '--yes');
  expect((await one.run('token', 'verify', token)).exitCode).toBe(1);
  expect((await one.run('audit', 'verify')).exitCode).not.toBe(70);
  expect(await two.json('keys', 'list')).toEqual([]);
  expect(await two.json('users', 'list')).toEqual([]);

  const table = shellWith({
    ...{ JWTCTL_MYSQL_TABLE_PREFIX: 'a_', JWTCTL_USERS_SOURCE: 'table' },
    ...{ JWTCTL_USERS_TABLE: 'users', JWTCTL_USERS_COLUMN: 'id' },
  });
  expect(await table.json('users', 'show', '7')).toMatchObject({ sub: '7', status: 'enabled' });
});
