import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cli, cli, temporaryFolder } from '../../../support/cli.js';
import { freshMysqlDatabase } from '../../../support/servers.js';
import { openStores, type Stores } from '../../../support/stores.js';

let stores: Stores;
beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  await administer(
    'CREATE TABLE accounts (login VARCHAR(100) PRIMARY KEY, enabled INT)',
    'CREATE TABLE members (id BINARY(16) PRIMARY KEY)',
  );
});
afterAll(() => stores?.close());

async function administer(...statements: string[]): Promise<void> {
  const connection = await createConnection(String(stores.env.JWTCTL_MYSQL_URL));
  try {
    for (const statement of statements) await connection.query(statement);
  } finally {
    await connection.end();
  }
}

async function validate(env: Record<string, string>, ...flags: string[]) {
  const shell: Cli = cli({ env: { ...stores.env, ...env } });
  const { exitCode, stdout } = await shell.run('config', 'validate', ...flags, '--json');
  const { problems } = JSON.parse(stdout);
  const text = problems.map(({ message, hint }: Record<string, string>) => `${message} ${hint}`).join();
  return { exitCode, codes: problems.map(({ code }: { code: string }) => code), text };
}

describe('config validate --connect', () => {
  test('finds nothing wrong with stores that work', async () => {
    expect(await validate({}, '--connect')).toMatchObject({ exitCode: 0, codes: [] });
  });

  test('reports each store that cannot be reached', async () => {
    const env = { JWTCTL_MYSQL_URL: 'mysql://app@127.0.0.1:1/jwt', JWTCTL_REDIS_NODES: '127.0.0.1:1' };
    expect(await validate(env)).toMatchObject({ exitCode: 0 });
    expect(await validate(env, '--connect')).toMatchObject({
      exitCode: 4,
      codes: ['ERR_MYSQL_UNREACHABLE', 'ERR_REDIS_UNREACHABLE'],
    });
  });

  test('says which stores it opened', async () => {
    const { json } = await stores.run('config', 'validate', '--connect', '--json');
    expect(json().opened).toEqual(['MySQL', 'Redis']);
    const { stdout } = await stores.run('config', 'validate', '--connect');
    expect(stdout).toContain('Opened MySQL, Redis.');
    const empty = await cli().run('config', 'validate', '--connect');
    expect(empty.exitCode).toBe(3);
    expect(empty.stdout).toContain('Opened no store.');
  });

  test('foresees that a table of the application is in the way of db migrate', async () => {
    const { url, drop } = await freshMysqlDatabase();
    const connection = await createConnection(url);
    await connection.query('CREATE TABLE keystore (kid VARCHAR(10), private_key TEXT)');
    await connection.end();
    const env = { JWTCTL_MYSQL_URL: url };
    expect(await validate(env, '--connect')).toMatchObject({ exitCode: 3, codes: ['ERR_TABLE_EXISTS'] });
    const { exitCode, stderr } = await cli({ env: { ...stores.env, ...env } }).run('db', 'status');
    expect(exitCode).toBe(3);
    expect(stderr).toContain("The table 'keystore' exists");
    expect(stderr).not.toContain('Run `jwtctl db migrate`.');
    await drop();
  });

  const table = (more: Record<string, string>) => ({
    ...{ JWTCTL_USERS_SOURCE: 'table', JWTCTL_USERS_TABLE: 'accounts', JWTCTL_USERS_COLUMN: 'login' },
    ...more,
  });

  test.each([
    [
      table({ JWTCTL_USERS_ENABLED_WHERE: 'enabld = 1' }),
      2,
      'ERR_USER_TABLE_UNREADABLE',
      /lacks a column that users.enabledWhere names/,
    ],
    [table({ JWTCTL_USERS_COLUMN: 'nickname' }), 2, 'ERR_USER_TABLE_UNREADABLE', /no column 'nickname'/],
    [table({ JWTCTL_USERS_TABLE: 'acounts' }), 2, 'ERR_USER_TABLE_UNREADABLE', /acounts does not exist/],
    [
      table({ JWTCTL_USERS_TABLE: 'members', JWTCTL_USERS_COLUMN: 'id' }),
      ...([2, 'ERR_CONFIG_VALUE_INVALID', /BINARY\(16\).*uuid-binary/] as const),
    ],
    [
      table({ JWTCTL_USERS_ID_TYPE: 'uuid-binary' }),
      ...([2, 'ERR_CONFIG_VALUE_INVALID', /VARCHAR\(100\).*users\.idType/] as const),
    ],
  ])('names what does not fit in %j', async (env, exitCode, code, text) => {
    expect(await validate(env, '--connect')).toEqual({
      ...{ exitCode, codes: [code], text: expect.stringMatching(text) },
    });
  });

  test('names the privilege that the user table needs', async () => {
    const url = new URL(String(stores.env.JWTCTL_MYSQL_URL));
    const database = url.pathname.slice(1);
    const name = `c${database.slice(-8)}`;
    const tables = ['keystore', 'keystore_revision', 'users', 'security_log', 'audit_log', 'audit_head'];
    await administer(
      `CREATE USER ${name} IDENTIFIED BY 'hunter2'`,
      ...[...tables, 'jwtctl_migration'].map((each) => `GRANT SELECT ON ${database}.${each} TO ${name}`),
    );
    url.username = name;
    url.password = 'hunter2';
    const found = await validate(table({ JWTCTL_MYSQL_URL: url.href }), '--connect');
    await administer(`DROP USER ${name}`);
    expect(found).toMatchObject({
      ...{ exitCode: 4, codes: ['ERR_MYSQL_FORBIDDEN'] },
      text: expect.stringContaining('GRANT SELECT ON accounts TO'),
    });
  });
});

describe('config validate', () => {
  const folder = temporaryFolder();
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };

  test.each([
    [{ JWTCTL_MASTER_KEY: 'not base64!' }, 'ERR_MASTER_KEY_INVALID'],
    [{ JWTCTL_MASTER_KEY: Buffer.alloc(16).toString('base64') }, 'ERR_MASTER_KEY_INVALID'],
    [{ JWTCTL_MASTER_KEY_FILE: file('short', 'AAAA\n') }, 'ERR_MASTER_KEY_INVALID'],
    [{ JWTCTL_MASTER_KEY_FILE: file('empty', '') }, 'ERR_MASTER_KEY_INVALID'],
    [{ JWTCTL_MYSQL_TLS_CA: file('ca', 'no PEM') }, 'ERR_TLS_FILE_INVALID'],
    [{ JWTCTL_REDIS_TLS_CA: file('ca', 'no PEM') }, 'ERR_TLS_FILE_INVALID'],
    [{ JWTCTL_REDIS_PASSWORD_FILE: '/no/such/file' }, 'ERR_CONFIG_FILE_MISSING'],
  ])('finds without a connection: %j', async (env, code) => {
    const shell = cli({ env });
    const { exitCode, stdout } = await shell.run('config', 'validate', '--json');
    const { problems } = JSON.parse(stdout);
    expect([exitCode, problems.map((problem: { code: string }) => problem.code)]).toEqual([2, [code]]);
    expect(stdout).not.toContain('not base64');
  });

  test('does not run a command', async () => {
    const env = { JWTCTL_MASTER_KEY_COMMAND: 'exit 3', JWTCTL_REDIS_PASSWORD_COMMAND: 'exit 3' };
    expect((await cli({ env }).run('config', 'validate')).exitCode).toBe(0);
  });
});
