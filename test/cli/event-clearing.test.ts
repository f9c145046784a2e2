import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { administer } from '../support/servers.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const DAY = 86_400;
const realNow = () => Math.floor(Date.now() / 1000);

describe.each(BACKENDS)('events of the security log, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'k1');
  });
  afterAll(() => stores?.close());

  test('survive a command on a host whose clock is 26 hours ahead, and the restored token stays revoked', async () => {
    const { token, jti } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    await stores.json('users', 'add', 'bob');
    await stores.json('cache', 'snapshot', 'before');
    await stores.json('token', 'revoke', '--sub', 'alice', '--all', '--yes');

    stores.clock.advance(26 * 3600);
    await stores.json('users', 'disable', 'bob');
    await stores.json('keys', 'rotate');
    await stores.json('cache', 'reconcile');
    stores.clock.advance(-26 * 3600);

    expect(await stores.json('cache', 'restore', 'before')).toMatchObject({
      restored: 0,
      skipped: { revoked: 1 },
    });
    const verified = await stores.run('token', 'verify', token, '--json');
    expect([verified.exitCode, verified.json().error.code]).toEqual([1, 'ERR_TOKEN_REVOKED']);
    expect(await stores.query('SELECT jti FROM security_log WHERE jti = ?', [jti])).toEqual([]);
  });

  test.each(['keys rotate', 'cache reconcile'])(
    'are removed by %s a week after they expired',
    async (command) => {
      await stores.json('token', 'revoke', '--sub', 'carol', '--all', '--yes');
      const count = async () =>
        (await stores.query("SELECT id FROM security_log WHERE sub = 'carol'")).length;
      await stores.query(
        `UPDATE security_log SET expires_at = ${realNow() - 7 * DAY + 60} WHERE sub = 'carol'`,
      );
      await stores.json(...command.split(' '));
      expect(await count()).toBe(1);
      await stores.query(
        `UPDATE security_log SET expires_at = ${realNow() - 7 * DAY - 60} WHERE sub = 'carol'`,
      );
      await stores.json(...command.split(' '), '--dry-run');
      expect(await count()).toBe(1);
      await stores.json(...command.split(' '));
      expect(await count()).toBe(0);
    },
  );
});

describe('an account without DELETE on MySQL', () => {
  let stores: Stores;
  const account = `lean_${process.pid}`;
  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster');
    await stores.json('keys', 'generate', '--kid', 'k1');
    const url = new URL(String(stores.env.JWTCTL_MYSQL_URL));
    await administer(
      `CREATE USER ${account} IDENTIFIED BY 'lean'`,
      `GRANT SELECT, INSERT, UPDATE ON ${url.pathname.slice(1)}.* TO ${account}`,
    );
    url.username = account;
    url.password = 'lean';
    stores.env.JWTCTL_MYSQL_URL = url.href;
  });
  afterAll(async () => {
    await administer(`DROP USER IF EXISTS ${account}`);
    await stores?.close();
  });

  test('can revoke and disable, and gets a warning that names the missing right', async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    const other = await stores.json('token', 'issue', '--sub', 'bob', '--create-user');
    expect(await stores.json('token', 'revoke', token)).toMatchObject({ revoked: 1 });
    await stores.json('users', 'disable', 'bob');
    const codes = await Promise.all(
      [token, other.token].map(
        async (one) => (await stores.run('token', 'verify', one, '--json')).json().error.code,
      ),
    );
    expect(codes).toEqual(['ERR_TOKEN_REVOKED', 'ERR_USER_DISABLED']);

    for (const command of [
      ['keys', 'rotate'],
      ['cache', 'reconcile'],
    ]) {
      const quiet = await stores.run(...command);
      expect([quiet.exitCode, quiet.stderr]).toEqual([0, expect.not.stringContaining('DELETE')]);
    }
    await stores.query('UPDATE security_log SET expires_at = 1');
    for (const command of [
      ['keys', 'rotate'],
      ['cache', 'reconcile'],
    ]) {
      const { exitCode, stderr } = await stores.run(...command);
      expect([exitCode, stderr]).toEqual([
        0,
        expect.stringContaining('Grant the account DELETE on the table security_log'),
      ]);
    }
    expect(await stores.query('SELECT id FROM security_log')).toHaveLength(2);
  });
});
