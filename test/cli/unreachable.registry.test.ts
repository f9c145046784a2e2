import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Cli, cli } from '../support/cli.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { openStores, type Stores } from '../support/stores.js';

/** Events stay durable, and nothing is accepted without a check. */
describe('with one of the two stores unreachable', () => {
  let stores: Stores;
  let withoutRedis: Cli;
  let withoutMysql: Cli;
  let redisNode = '';
  let mysqlHost = '';
  let kid = '';
  let token = '';
  let jti = '';

  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster');
    kid = (await stores.json('keys', 'generate')).kid;
    const [redisPort, mysqlPort] = await closedPorts(2);
    redisNode = `127.0.0.1:${redisPort}`;
    mysqlHost = `127.0.0.1:${mysqlPort}`;
    const { clock, home, env } = stores;
    withoutRedis = cli({ clock, home, env: { ...env, JWTCTL_REDIS_NODES: redisNode, JWTCTL_TIMEOUT: '2s' } });
    const JWTCTL_MYSQL_URL = `mysql://u:Gr4nd-Secr3t@${mysqlHost}/db`;
    withoutMysql = cli({ clock, home, env: { ...env, JWTCTL_MYSQL_URL, JWTCTL_TIMEOUT: '2s' } });
  });
  beforeEach(async () => {
    await stores.run('users', 'add', 'alice');
    await stores.run('users', 'enable', 'alice');
    ({ token, jti } = await stores.json('token', 'issue', '--sub', 'alice'));
    expect(await stores.json('token', 'verify', token)).toMatchObject({ active: true });
  });
  afterAll(() => stores?.close());

  async function events(): Promise<Array<Record<string, unknown>>> {
    return stores.query('SELECT type, sub, jti, kid, reason FROM security_log ORDER BY id DESC LIMIT 1');
  }

  async function expectRecorded(...words: string[]) {
    const { exitCode, stdout, error } = await withoutRedis.run(...words, '--reason', 'lost', '--json');
    expect({ words, exitCode, stdout, code: error().code }).toEqual({
      ...{ words, exitCode: 4, stdout: '', code: 'ERR_RECORDED_NOT_APPLIED' },
    });
    expect(error().message).toContain('recorded');
    expect(error().message).toContain(redisNode);
    expect(error().hint).toMatch(/again|jwtctl/);
  }

  async function refusalCode(): Promise<string> {
    const { exitCode, json } = await stores.run('token', 'verify', token, '--json');
    expect(exitCode).toBe(1);
    return json().error.code;
  }

  test.each([
    { form: 'a token', words: () => [token], event: () => ({ type: 'token_revoked', sub: 'alice', jti }) },
    {
      form: 'a jti',
      words: () => ['--sub', 'alice', '--jti', jti],
      event: () => ({ type: 'token_revoked', sub: 'alice', jti }),
    },
    {
      form: 'a subject',
      words: () => ['--sub', 'alice', '--all', '--yes'],
      event: () => ({ type: 'subject_revoked', sub: 'alice', jti: null }),
    },
    {
      form: 'a key',
      words: () => ['--kid', kid, '--yes'],
      event: () => ({ type: 'kid_revoked', kid, sub: null }),
    },
    {
      form: 'a moment',
      words: () => ['--issued-before', String(stores.clock.now()), '--yes'],
      event: () => ({ type: 'all_revoked', kid: null, sub: null }),
    },
  ])(
    'a revocation by $form is recorded, exits 4, and takes effect although Redis still has the entry',
    async ({ words, event }) => {
      await expectRecorded('token', 'revoke', ...words());

      expect(await events()).toMatchObject([{ ...event(), reason: 'lost' }]);
      expect((await stores.json('token', 'list', '--sub', 'alice')).length).toBeGreaterThan(0);
      expect(await refusalCode()).toBe('ERR_TOKEN_REVOKED');
      expect(await stores.json('token', 'revoke', ...words())).toMatchObject({ complete: true });
      const listed = await stores.json('token', 'list', '--sub', 'alice');
      expect(listed.map((entry: { jti: string }) => entry.jti)).not.toContain(jti);
    },
  );

  test('disabling a user takes effect although Redis still says enabled', async () => {
    await expectRecorded('users', 'disable', 'alice');

    expect(await events()).toMatchObject([{ type: 'user_disabled', sub: 'alice', reason: 'lost' }]);
    expect(await refusalCode()).toBe('ERR_USER_DISABLED');
  });

  test('removing a user takes effect although Redis still has the tokens', async () => {
    await expectRecorded('users', 'remove', 'alice', '--yes');

    expect((await stores.run('users', 'show', 'alice')).exitCode).toBe(3);
    expect(await refusalCode()).toBe('ERR_TOKEN_REVOKED');
    await stores.json('users', 'add', 'alice');
    expect(await refusalCode()).toBe('ERR_TOKEN_REVOKED');
  });

  test('no token is accepted or issued while either store is unreachable', async () => {
    const before = await stores.content();
    for (const [shell, culprit] of [[withoutRedis, redisNode] as const, [withoutMysql, mysqlHost] as const]) {
      for (const words of [
        ['token', 'verify', token],
        ['token', 'issue', '--sub', 'alice'],
      ]) {
        const { exitCode, stdout, error, stderr } = await shell.run(...words, '--json');
        expect({ words, exitCode, stdout }).toEqual({ words, exitCode: 4, stdout: '' });
        expect(error().message).toContain(culprit);
        expect(stderr).not.toContain('Gr4nd-Secr3t');
      }
    }
    expect(await stores.content()).toBe(before);
  });

  test('an unreachable MySQL is never replaced by an embedded store', async () => {
    for (const words of [
      ['keys', 'generate'],
      ['users', 'add', 'bob'],
      ['keys', 'list'],
    ]) {
      const { exitCode, stdout, error } = await withoutMysql.run(...words, '--json');
      expect({ words, exitCode, stdout, code: error().code }).toEqual({
        ...{ words, exitCode: 4, stdout: '', code: 'ERR_MYSQL_UNREACHABLE' },
      });
    }
  });

  test('commands that need no registry work without Redis', async () => {
    expect(await withoutRedis.json('keys', 'list')).toHaveLength(1);
    expect(await withoutRedis.json('users', 'add', 'dora')).toMatchObject({ sub: 'dora' });
    expect(await withoutRedis.json('keys', 'rotate')).toMatchObject({ rotated: false });
    expect((await withoutRedis.run('keys', 'export', '--jwks')).exitCode).toBe(0);
  });
});
