import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cli, cli } from '../../../support/cli.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

const STATUS_TTL_SECONDS = 60;

describe.each(BACKENDS)('users outside jwtctl, on %s', (backend) => {
  let stores: Stores;
  let table: Cli;
  let off: Cli;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    await stores.query('CREATE TABLE accounts (login VARCHAR(100) PRIMARY KEY, active INT NOT NULL)');
    await stores.query("INSERT INTO accounts VALUES ('alice', 1), ('bob', 1), ('carol', 0)");
    const { clock, home } = stores;
    const source = {
      ...{ JWTCTL_USERS_SOURCE: 'table', JWTCTL_USERS_TABLE: 'accounts', JWTCTL_USERS_COLUMN: 'login' },
      JWTCTL_USERS_ENABLED_WHERE: 'active = 1',
    };
    table = cli({ clock, home, env: { ...stores.env, ...source } });
    off = cli({ clock, home, env: { ...stores.env, JWTCTL_USERS_SOURCE: 'off' } });
  });
  afterAll(() => stores?.close());

  async function refusalOf(shell: Cli, token: string) {
    const { exitCode, json } = await shell.run('token', 'verify', token, '--json');
    return { exitCode, code: json().error?.code, reason: json().reason };
  }

  test('each row of the table is a user, compared byte by byte', async () => {
    const { token } = await table.json('token', 'issue', '--sub', 'alice');

    expect(await table.json('token', 'verify', token)).toMatchObject({ active: true });
    expect((await table.json('users', 'list')).map((user: { sub: string }) => user.sub)).toEqual([
      ...['alice', 'bob', 'carol'],
    ]);
    for (const sub of ['Alice', 'alice ', 'zoe']) {
      const { exitCode, error } = await table.run('token', 'issue', '--sub', sub, '--json');
      expect({ sub, exitCode, code: error().code }).toEqual({ sub, exitCode: 3, code: 'ERR_USER_UNKNOWN' });
    }
  });

  test('a user whose row was deleted is refused after the cached status expires', async () => {
    const { token } = await table.json('token', 'issue', '--sub', 'alice');
    await stores.query("DELETE FROM accounts WHERE login = 'alice'");
    table.clock.advance(STATUS_TTL_SECONDS);

    expect(await refusalOf(table, token)).toEqual({
      exitCode: 1,
      code: 'ERR_USER_UNKNOWN',
      reason: 'Authorization Failure',
    });
  });

  test('a user whose row was disabled is refused after the cached status expires', async () => {
    const { token } = await table.json('token', 'issue', '--sub', 'bob');
    await stores.query("UPDATE accounts SET active = 0 WHERE login = 'bob'");
    table.clock.advance(STATUS_TTL_SECONDS);

    expect(await refusalOf(table, token)).toMatchObject({ exitCode: 1, code: 'ERR_USER_DISABLED' });
    expect((await table.run('token', 'issue', '--sub', 'carol')).exitCode).toBe(3);
  });

  test('jwtctl does not change the table', async () => {
    const before = await stores.query('SELECT * FROM accounts ORDER BY login');
    for (const verb of ['add', 'disable', 'enable', 'remove']) {
      const { exitCode, error } = await table.run('users', verb, 'carol', '--yes', '--json');
      expect({ verb, exitCode, code: error().code }).toEqual({
        ...{ verb, exitCode: 3, code: 'ERR_USERS_NOT_MANAGED' },
      });
    }
    expect((await table.run('token', 'issue', '--sub', 'dave', '--create-user')).exitCode).toBe(3);
    expect(await stores.query('SELECT * FROM accounts ORDER BY login')).toEqual(before);
  });

  test('without a user directory, a token needs no user and can be revoked', async () => {
    const { token } = await off.json('token', 'issue', '--sub', 'machine-7');
    expect(await off.json('token', 'verify', token)).toMatchObject({ active: true });
    off.clock.advance(STATUS_TTL_SECONDS);
    expect(await off.json('token', 'verify', token)).toMatchObject({ active: true });

    await off.json('token', 'revoke', token);
    expect(await refusalOf(off, token)).toMatchObject({ exitCode: 1, code: 'ERR_TOKEN_REVOKED' });
  });

  test('a token issued without a user directory is refused if users are managed', async () => {
    const { token } = await off.json('token', 'issue', '--sub', 'machine-8');
    stores.clock.advance(STATUS_TTL_SECONDS);

    expect(await refusalOf(stores, token)).toMatchObject({ exitCode: 1, code: 'ERR_USER_UNKNOWN' });
  });
});

describe.each(BACKENDS)('a user whose status another program wrote, on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
  });
  afterAll(() => stores?.close());

  test.each(['suspended', 'Disabled', 'blocked', ''])(
    "'%s' gets no token, and their tokens are refused",
    async (status) => {
      const sub = `user-${status}`;
      await stores.json('users', 'add', sub);
      const { token } = await stores.json('token', 'issue', '--sub', sub);
      await stores.query(`UPDATE users SET status = '${status}' WHERE sub = '${sub}'`);
      stores.clock.advance(STATUS_TTL_SECONDS);

      const verified = await stores.run('token', 'verify', token, '--json');
      expect([verified.exitCode, verified.json().error.code]).toEqual([1, 'ERR_USER_DISABLED']);
      const issued = await stores.run('token', 'issue', '--sub', sub, '--json');
      expect([issued.exitCode, issued.error().code]).toEqual([3, 'ERR_USER_DISABLED']);
      const bulk = await stores.run({ stdin: `${sub}\n` }, 'token', 'issue', '--sub-file', '-');
      expect([bulk.exitCode, bulk.stdout]).toEqual([5, '']);
      const registered = await stores.run('token', 'register', token, '--json');
      expect([registered.exitCode, registered.error().code]).toEqual([1, 'ERR_USER_DISABLED']);
      expect(await stores.json('users', 'show', sub)).toMatchObject({ status: 'disabled' });
    },
  );
});
