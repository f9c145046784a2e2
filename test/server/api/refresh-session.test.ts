import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isActive, logIn, newUserForEachTest, type Session } from '../../support/http-session.js';
import { closedPorts } from '../../support/proxies/silent-server.js';
import { startSwitchingProxy } from '../../support/proxies/switching-proxy.js';
import {
  basic,
  CLIENT,
  type Client,
  clientSetting,
  openServing,
  type Serving,
  servingsOver,
} from '../../support/serving.js';
import { BACKENDS, openStores, type Stores } from '../../support/stores.js';

describe.each(BACKENDS)('POST /token on %s', (backend) => {
  let stores: Stores;
  /** A new user for each test. */
  let sub: string;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
  });
  newUserForEachTest(
    () => stores,
    (name) => {
      sub = name;
    },
  );
  afterAll(() => stores?.close());

  const open = servingsOver(() => stores);

  async function serving(options: Parameters<typeof open>[0] = {}) {
    const one = await open(options);
    const send = (payload: string, client: Client = CLIENT) =>
      one.app.inject({
        ...{ method: 'POST', url: '/token', payload },
        headers: { ...basic(client), 'content-type': 'application/x-www-form-urlencoded' },
      });
    const refresh = (refresh_token: string, others: Record<string, string> = {}, client: Client = CLIENT) =>
      send(new URLSearchParams({ grant_type: 'refresh_token', refresh_token, ...others }).toString(), client);
    return {
      ...{ ...one, send, refresh },
      logIn: (body: object = {}, client: Client = CLIENT) => logIn(one.app, client, { sub, ...body }),
      isActive: (token: string) => isActive(one.app, token),
    };
  }

  const claimsOf = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

  test('answers as RFC 6749 §5.1 says, and the next refresh token works', async () => {
    const { refresh, logIn, isActive, lines } = await serving();
    const first = await logIn({ ttl: '15m', claims: { scope: 'read write' } });
    stores.clock.advance(5);
    const answer = await refresh(first.refreshToken);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({
      'content-type': expect.stringContaining('application/json'),
      'cache-control': 'no-store',
      pragma: 'no-cache',
    });
    const answered = answer.json();
    expect(answered).toEqual({
      access_token: expect.stringMatching(/^eyJ/),
      ...{ token_type: 'Bearer', expires_in: 900, scope: 'read write' },
      refresh_token: expect.any(String),
    });
    expect(claimsOf(answered.access_token)).toMatchObject({
      ...{ sub, scope: 'read write', jti: first.jti.replace(/0$/, '1') },
    });
    expect([await isActive(first.token), await isActive(answered.access_token)]).toEqual([true, true]);
    expect((await refresh(answered.refresh_token)).statusCode).toBe(200);
    expect(lines().filter(({ route }) => route === '/token')).toMatchObject(
      Array(2).fill({ status: 200, code: 'refreshed', client: CLIENT.id }),
    );
    expect(JSON.stringify(lines())).not.toContain(first.refreshToken.slice(-20));
  });

  test('64 uses at once within the grace get one successor', async () => {
    const { refresh, logIn } = await serving();
    const { refreshToken, jti } = await logIn();
    const answers = await Promise.all(Array.from({ length: 64 }, () => refresh(refreshToken)));
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
    const tokens = await stores.json('token', 'list', '--sub', sub);
    expect(tokens.map((token: { jti: string }) => token.jti).sort()).toEqual([jti, jti.replace(/0$/, '1')]);
  });

  test('errors are those of RFC 6749 §5.2', async () => {
    const { refresh, send, logIn } = await serving();
    const { refreshToken, token } = await logIn({ claims: { scope: 'read' } });
    const revoked = await logIn();
    await stores.json('token', 'revoke', revoked.token);
    const form = (parts: object) => new URLSearchParams(parts as Record<string, string>).toString();
    const good = { grant_type: 'refresh_token', refresh_token: refreshToken };
    const cases: Array<[what: string, answer: ReturnType<typeof send>, error: string]> = [
      ['no form', send('{}'), 'invalid_request'],
      ['no grant_type', send(form({ refresh_token: refreshToken })), 'invalid_request'],
      ['an empty grant_type', send(form({ ...good, grant_type: '' })), 'invalid_request'],
      ['another grant_type', send(form({ ...good, grant_type: 'password' })), 'unsupported_grant_type'],
      ['no refresh_token', send(form({ grant_type: 'refresh_token' })), 'invalid_request'],
      ['a repeated parameter', send(`${form(good)}&refresh_token=x`), 'invalid_request'],
      ['a secret in the form', refresh(refreshToken, { client_secret: 'x' }), 'invalid_request'],
      ['another client_id', refresh(refreshToken, { client_id: 'x' }), 'invalid_request'],
      ['a scope that the session lacks', refresh(refreshToken, { scope: 'read write' }), 'invalid_scope'],
      ['text', refresh('x'), 'invalid_grant'],
      ['an access token', refresh(token), 'invalid_grant'],
      ['a changed token', refresh(`${refreshToken.slice(0, -4)}AAAA`), 'invalid_grant'],
      ['a session that has ended', refresh(revoked.refreshToken), 'invalid_grant'],
    ];
    for (const [what, answer, error] of cases) {
      const { statusCode, json } = await answer;
      expect([what, statusCode, json().error]).toEqual([what, 400, error]);
      expect(json()).toEqual({ error, error_description: expect.any(String) });
    }
    // None of them used the token.
    expect((await refresh(refreshToken, { client_id: CLIENT.id, unknown: 'ignored' })).statusCode).toBe(200);
  });

  test('a wrong secret gets 401 with a challenge, and uses no token', async () => {
    const { app, refresh, logIn } = await serving();
    const { refreshToken } = await logIn();
    const answer = await refresh(refreshToken, {}, { id: CLIENT.id, secret: 'w'.repeat(32) });
    expect([answer.statusCode, answer.json().error]).toEqual([401, 'invalid_client']);
    expect(answer.headers['www-authenticate']).toMatch(/^Basic /);
    const { id: client_id, secret: client_secret } = CLIENT;
    const inForm = await app.inject({
      ...{ method: 'POST', url: '/token' },
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({ client_id, client_secret, grant_type: 'refresh_token' }).toString(),
    });
    expect(inForm.statusCode).toBe(401);
    expect((await refresh(refreshToken)).statusCode).toBe(200);
  });

  test('a narrower scope applies to one access token, and the session keeps the others', async () => {
    const { refresh, logIn } = await serving();
    const { refreshToken } = await logIn({ claims: { scope: 'read write admin' } });
    const narrow = (await refresh(refreshToken, { scope: 'admin read' })).json();
    expect([narrow.scope, claimsOf(narrow.access_token).scope]).toEqual(['read admin', 'read admin']);
    const wide = (await refresh(narrow.refresh_token)).json();
    expect(wide.scope).toBe('read write admin');
  });

  test('a use of an older refresh token ends the session, in the name of the client', async () => {
    const { refresh, logIn, isActive } = await serving();
    const first = await logIn();
    const second = (await refresh(first.refreshToken)).json();
    const third = (await refresh(second.refresh_token)).json();
    const reused = await refresh(first.refreshToken);
    expect([reused.statusCode, reused.json().error]).toEqual([400, 'invalid_grant']);
    expect((await refresh(third.refresh_token)).json().error).toBe('invalid_grant');
    const [row] = await stores.query(
      `SELECT actor, target, outcome FROM audit_log WHERE action = 'token.refresh' ORDER BY seq DESC LIMIT 1`,
    );
    expect(row).toEqual({
      ...{ actor: `client:${CLIENT.id}`, target: `${sub} ${first.jti.split('.')[0]}`, outcome: 'reused' },
    });
    for (const token of [first.token, second.access_token, third.access_token])
      expect(await isActive(token)).toBe(false);
  });

  test('a refresh token of another client or audience looks as if it did not exist', async () => {
    const [shop, bank]: Client[] = ['shop', 'bank'].map((id) => ({ id, secret: id.repeat(8) })) as [
      Client,
      Client,
    ];
    const { refresh, logIn } = await serving({
      clients: [
        clientSetting(CLIENT),
        clientSetting(shop as Client, { audiences: ['shop', 'user'] }),
        clientSetting(bank as Client, { audiences: ['bank'] }),
      ],
    });
    const own = await logIn({ aud: 'shop' }, shop);
    // The answer does not tell a stolen token from an invented one.
    const invented = (await refresh('x', {}, bank)).json();
    expect(invented.error).toBe('invalid_grant');
    for (const other of [CLIENT, bank])
      expect((await refresh(own.refreshToken, {}, other)).json()).toEqual(invented);
    expect((await refresh(own.refreshToken, {}, shop)).statusCode).toBe(200);

    const free = await stores.json('token', 'issue', '--sub', sub, '--refresh');
    expect((await refresh(free.refreshToken, {}, bank)).json().error).toBe('invalid_grant');
    expect((await refresh(free.refreshToken, {}, shop)).statusCode).toBe(200);
  });

  test('a disabled or removed user gets invalid_grant', async () => {
    const { refresh, logIn } = await serving();
    const { refreshToken } = await logIn();
    await stores.json('users', 'disable', sub);
    expect((await refresh(refreshToken)).json().error).toBe('invalid_grant');
    await stores.json('users', 'remove', sub, '--yes');
    expect((await refresh(refreshToken)).json().error).toBe('invalid_grant');
  });
});

describe('POST /token without a store', () => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TIMEOUT: '2s' });
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  const logIn = async (): Promise<Session> => stores.json('token', 'issue', '--sub', 'alice', '--refresh');

  function refresh({ app }: Serving, refresh_token: string) {
    return app.inject({
      ...{ method: 'POST', url: '/token' },
      headers: { ...basic(CLIENT), 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({ grant_type: 'refresh_token', refresh_token }).toString(),
    });
  }

  async function withServing<T>(env: Record<string, string>, work: (one: Serving) => Promise<T>): Promise<T> {
    const one = await openServing({ ...stores, env: { ...stores.env, ...env } });
    try {
      return await work(one);
    } finally {
      await one.close();
    }
  }

  const unavailable = [503, '1', 'temporarily_unavailable'];

  test('MySQL away, or Redis away: 503, and the session goes on afterwards', async () => {
    const { refreshToken, jti } = await logIn();
    const proxy = await startSwitchingProxy(String(stores.env.JWTCTL_MYSQL_URL));
    const [port] = await closedPorts(1);
    const settings = [{ JWTCTL_MYSQL_URL: proxy.url }, { JWTCTL_REDIS_NODES: `127.0.0.1:${port}` }];
    const before = await stores.json('token', 'list', '--sub', 'alice');
    for (const env of settings) {
      await withServing(env, async (one) => {
        if (env.JWTCTL_MYSQL_URL !== undefined) await proxy.stop();
        const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(one, refreshToken)));
        expect(
          answers.map(({ statusCode, headers, json }) => [statusCode, headers['retry-after'], json().error]),
        ).toEqual(Array(5).fill(unavailable));
      });
    }
    expect(await stores.json('token', 'list', '--sub', 'alice')).toEqual(before);
    await withServing({}, async (one) => {
      const answer = await refresh(one, refreshToken);
      expect(answer.statusCode).toBe(200);
      const tokens = await stores.json('token', 'list', '--sub', 'alice');
      expect(tokens.map((token: Session) => token.jti)).toEqual([jti, jti.replace(/0$/, '1')]);
    });
  });
});
