import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStoreIssuer } from '../../src/issuer/store-issuer.js';
import { openContext } from '../support/opened-context.js';
import { basic, CLIENT, servingsOver } from '../support/serving.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

describe.each(BACKENDS)('users.claims on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend, {
      JWTCTL_USERS_SOURCE: 'table',
      JWTCTL_USERS_TABLE: 'accounts',
      JWTCTL_USERS_COLUMN: 'login',
      JWTCTL_USERS_CLAIMS: 'role=role_name,tenant=tenant_id,prefs=prefs',
    });
    await stores.json('keys', 'generate');
    await stores.query(
      'CREATE TABLE accounts (login varchar(99), role_name varchar(99), tenant_id bigint, prefs json)',
    );
    await stores.query(`INSERT INTO accounts VALUES
      ('alice', 'admin', 7, '{"lang":"de"}'), ('bob', NULL, NULL, NULL), ('carol', 'x', 9007199254740993, NULL)`);
  });
  afterAll(() => stores?.close());

  const serving = servingsOver(() => stores);
  const payloadOf = async (token: string) => (await stores.json('token', 'verify', token)).payload;

  test('a token gets them, in every way to issue one', async () => {
    const expected = { role: 'admin', tenant: 7, prefs: { lang: 'de' } };
    const issued = await stores.json('token', 'issue', '--sub', 'alice');
    expect(await payloadOf(issued.token)).toMatchObject(expected);
    const { app } = await serving();
    const post = (body: object) =>
      app.inject({ method: 'POST', url: '/v1/tokens', headers: basic(CLIENT), payload: body });
    expect(await payloadOf((await post({ sub: 'alice' })).json().token)).toMatchObject(expected);
    const plan = await stores.json('token', 'issue', '--sub', 'alice', '-n');
    expect(plan.payload).toMatchObject(expected);
    const bob = await payloadOf((await stores.json('token', 'issue', '--sub', 'bob')).token);
    for (const claim of ['role', 'tenant', 'prefs']) expect(bob).not.toHaveProperty(claim);
  });

  test('a user with an impossible value gets no token, and does not stop others', async () => {
    const { app, lines } = await serving();
    const answers = await Promise.all(
      ['alice', 'carol', 'bob'].map((sub) =>
        app.inject({ method: 'POST', url: '/v1/tokens', headers: basic(CLIENT), payload: { sub } }),
      ),
    );
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([201, 503, 201]);
    expect(lines().find(({ status }) => status === 503)).toMatchObject({
      ...{ code: 'ERR_USER_CLAIM_INVALID', msg: expect.stringContaining('tenant_id of accounts') },
    });
  });

  test.each([
    ['token_use=role_name', /says that it is a refresh token/],
    [
      'scope=tenant_id',
      /user "dave"\. The claim scope is a number; expected a string or an array of strings/,
    ],
    ['scp=prefs', /claim scp is an object/],
    ['auth_time=role_name', /claim auth_time is a string; expected a NumericDate/],
    ['auth_time=tenant_id', /auth_time is 1796000000000, which looks like milliseconds/],
  ])('a value that does not fit its claim is refused: %s', async (columns, message) => {
    await stores.query(`DELETE FROM accounts WHERE login = 'dave'`);
    await stores.query(`INSERT INTO accounts VALUES ('dave', 'refresh', 1796000000000, '{"a":1}')`);
    for (const more of [[], ['--dry-run']]) {
      const flags = ['--users-claims', columns, '--json', ...more];
      const { exitCode, error } = await stores.run('token', 'issue', '--sub', 'dave', ...flags);
      expect([exitCode, error().code]).toEqual([3, 'ERR_USER_CLAIM_INVALID']);
      expect(error().message).toMatch(message);
    }
  });

  test('they cannot be the client_id, which names the client of the token', async () => {
    const { exitCode, error } = await stores.run(
      'keys',
      'list',
      '--users-claims',
      'client_id=role_name',
      '--json',
    );
    expect([exitCode, error().code]).toEqual([2, 'ERR_CONFIG_VALUE_INVALID']);
  });

  test('a request cannot set them', async () => {
    const { exitCode, error } = await stores.run(
      'token',
      'issue',
      '--sub',
      'bob',
      '--claim',
      'role=admin',
      '--json',
    );
    expect([exitCode, error().code]).toEqual([2, 'ERR_CLAIM_RESERVED']);
    const { app } = await serving();
    const payload = { sub: 'bob', claims: { role: 'admin' } };
    const answer = await app.inject({ method: 'POST', url: '/v1/tokens', headers: basic(CLIENT), payload });
    expect([answer.statusCode, answer.json().field]).toEqual([422, 'claims']);
  });

  test('a refresh reads them again', async () => {
    const context = await openContext(stores);
    const issuer = await openStoreIssuer(context);
    try {
      const first = await issuer.issue({ sub: 'alice', refresh: true });
      expect(await payloadOf(first.token)).toMatchObject({ role: 'admin' });
      await stores.query(`UPDATE accounts SET role_name = 'guest', tenant_id = NULL WHERE login = 'alice'`);
      const second = await issuer.refresh({ refreshToken: String(first.refreshToken) });
      const payload = await payloadOf(second.token);
      expect(payload).toMatchObject({ role: 'guest', prefs: { lang: 'de' } });
      expect(payload).not.toHaveProperty('tenant');
    } finally {
      await context.dispose();
    }
  });

  test('config validate --connect tries the columns', async () => {
    expect((await stores.run('config', 'validate', '--connect')).exitCode).toBe(0);
    const env = { ...stores.env };
    try {
      stores.env.JWTCTL_USERS_CLAIMS = 'role=no_such_column';
      const { exitCode, stdout } = await stores.run('config', 'validate', '--connect', '--json');
      expect([exitCode, stdout]).toEqual([2, expect.stringContaining('ERR_USER_TABLE_UNREADABLE')]);
      for (const claims of ['sub=login', 'role', 'role=a b', 'role=a,role=b', '=a', 'role=']) {
        stores.env.JWTCTL_USERS_CLAIMS = claims;
        expect([claims, (await stores.run('config', 'validate')).exitCode]).toEqual([claims, 2]);
      }
      stores.env.JWTCTL_USERS_CLAIMS = 'role=role_name';
      stores.env.JWTCTL_USERS_SOURCE = 'managed';
      expect((await stores.run('config', 'validate')).exitCode).toBe(2);
    } finally {
      Object.assign(stores.env, env);
    }
  });
});
