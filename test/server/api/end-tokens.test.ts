import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isActive, logIn, newUserForEachTest } from '../../support/http-session.js';
import { startSwitchingProxy } from '../../support/proxies/switching-proxy.js';
import {
  basic,
  bearer,
  CLIENT,
  type Client,
  clientSetting,
  openServing,
  servingsOver,
} from '../../support/serving.js';
import { BACKENDS, openStores, type Stores } from '../../support/stores.js';

interface Issued {
  token: string;
  jti: string;
  refreshToken?: string;
}

describe.each(BACKENDS)('ending tokens over HTTP on %s', (backend) => {
  let stores: Stores;
  /** A new user for each test. */
  let sub: string;
  let number: number;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
  });
  newUserForEachTest(
    () => stores,
    (...user) => {
      [sub, number] = user;
    },
  );
  afterAll(() => stores?.close());

  const open = servingsOver(() => stores);

  async function serving(options: Parameters<typeof open>[0] = {}) {
    const one = await open(options);
    const call = (method: 'GET' | 'POST' | 'DELETE', url: string, client: Client = CLIENT) =>
      one.app.inject({ method, url, headers: basic(client) });
    const revoke = (form: Record<string, string>, client: Client = CLIENT) =>
      one.app.inject({
        ...{ method: 'POST', url: '/revoke', payload: new URLSearchParams(form).toString() },
        headers: { ...basic(client), 'content-type': 'application/x-www-form-urlencoded' },
      });
    return {
      ...{ ...one, call, revoke },
      isActive: (token: string) => isActive(one.app, token),
      session: (client: Client = CLIENT) => logIn(one.app, client, { sub }),
    };
  }

  const issue = (...flags: string[]): Promise<Issued> =>
    stores.json('token', 'issue', '--sub', sub, ...flags);
  const live = async () => {
    const tokens = await stores.json('token', 'list', '--sub', sub);
    return tokens.map(({ jti }: Issued) => jti).sort();
  };
  const sessions = async () => {
    const tokens = await stores.json('token', 'list', '--sub', sub);
    return tokens.filter(({ refreshExp }: { refreshExp: number | null }) => refreshExp !== null).length;
  };
  const lastRow = async () =>
    (await stores.query('SELECT actor, action, target FROM audit_log ORDER BY seq DESC LIMIT 1'))[0];
  const path = (rest = '') => `/v1/users/${encodeURIComponent(sub)}/tokens${rest}`;

  test('POST /revoke ends an access token in the name of the client (RFC 7009 §2.1)', async () => {
    const { revoke, isActive, lines } = await serving();
    const { token, jti } = await issue();
    expect(await isActive(token)).toBe(true);
    const answer = await revoke({ token, token_type_hint: 'refresh_token' });
    expect([answer.statusCode, answer.body]).toEqual([200, '']);
    expect(await isActive(token)).toBe(false);
    expect(await lastRow()).toEqual({
      ...{ actor: `client:${CLIENT.id}`, action: 'token.revoke', target: `${sub} ${jti}` },
    });
    expect(JSON.stringify(lines())).not.toContain(token.slice(-20));
  });

  test('POST /revoke with a refresh token ends the session, for its own client', async () => {
    const other: Client = { id: 'other', secret: 'o'.repeat(32) };
    const { revoke, session, isActive, lines } = await serving({
      clients: [clientSetting(CLIENT), clientSetting(other)],
    });
    const { token, refreshToken } = await session();
    const refused = await revoke({ token: refreshToken }, other);
    expect([refused.statusCode, refused.json().error]).toEqual([400, 'unauthorized_client']);
    expect(lines().at(-1)).toMatchObject({ status: 400, code: 'ERR_CLIENT_MISMATCH' });
    expect(await isActive(token)).toBe(true);
    expect((await revoke({ token: refreshToken })).statusCode).toBe(200);
    expect(await isActive(token)).toBe(false);
    expect(await live()).toEqual([]);
  });

  test('POST /revoke ends an access token that names a client only for that client (RFC 7009 §2.1)', async () => {
    const other: Client = { id: 'other', secret: 'o'.repeat(32) };
    const { revoke, isActive } = await serving({ clients: [clientSetting(CLIENT), clientSetting(other)] });
    const { token } = await issue('--claim', `client_id=${CLIENT.id}`);
    const refused = await revoke({ token }, other);
    expect([refused.statusCode, refused.json().error]).toEqual([400, 'unauthorized_client']);
    expect(await isActive(token)).toBe(true);
    expect((await revoke({ token })).statusCode).toBe(200);
    expect(await isActive(token)).toBe(false);
    // A token that names no client.
    const plain = await issue();
    expect((await revoke({ token: plain.token }, other)).statusCode).toBe(200);
    expect(await isActive(plain.token)).toBe(false);
  });

  test('POST /revoke ends an access token without its session if the session may be of another client', async () => {
    const other: Client = { id: 'other', secret: 'o'.repeat(32) };
    const { app, revoke, session, isActive } = await serving({
      clients: [clientSetting(CLIENT), clientSetting(other, { may: ['revoke', 'refresh'] })],
    });
    const first = await session();
    expect((await revoke({ token: first.token }, other)).statusCode).toBe(200);
    expect(await isActive(first.token)).toBe(false);
    const form = { grant_type: 'refresh_token', refresh_token: first.refreshToken };
    const refreshed = await app.inject({
      ...{ method: 'POST', url: '/token', payload: new URLSearchParams(form).toString() },
      headers: { ...basic(CLIENT), 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(refreshed.statusCode).toBe(200);
    expect(await isActive(refreshed.json().access_token)).toBe(true);
  });

  test('POST /revoke with an access token ends its session if no other client can have sessions', async () => {
    const gateway: Client = { id: 'gateway', secret: 'g'.repeat(32) };
    const { revoke, session } = await serving({
      clients: [clientSetting(CLIENT), clientSetting(gateway, { may: ['revoke'] })],
    });
    await revoke({ token: (await session()).token }, gateway);
    expect(await sessions()).toBe(1);
    await revoke({ token: (await session()).token });
    expect(await sessions()).toBe(1);
  });

  test('POST /revoke with an access token leaves the session of a server with other clients', async () => {
    const { token } = await (await serving()).session();
    const gateway: Client = { id: 'gateway', secret: 'g'.repeat(32) };
    const other = await serving({ clients: [clientSetting(gateway, { may: ['revoke'] })] });
    expect((await other.revoke({ token }, gateway)).statusCode).toBe(200);
    expect(await sessions()).toBe(1);
  });

  test.each(['', 'saml2', 'urn:ietf:params:oauth:token-type:access_token'])(
    'POST /revoke ignores the token_type_hint "%s", which it does not know (RFC 7009 §2.1)',
    async (hint) => {
      const { revoke, session, isActive } = await serving();
      const { token } = await issue();
      expect((await revoke({ token, token_type_hint: hint })).statusCode).toBe(200);
      expect(await isActive(token)).toBe(false);
      const begun = await session();
      const form = { token: begun.refreshToken, token_type_hint: hint, subject_token_type: hint };
      expect((await revoke(form)).statusCode).toBe(200);
      expect(await isActive(begun.token)).toBe(false);
    },
  );

  test('POST /revoke with an expired access token ends its session', async () => {
    const { revoke, session } = await serving();
    const { token } = await session();
    stores.clock.advance(3_700);
    expect((await revoke({ token })).statusCode).toBe(200);
    expect(await live()).toEqual([]);
  });

  test('POST /revoke answers 200 to tokens that it cannot end, and changes nothing', async () => {
    const shop: Client = { id: 'shop', secret: 's'.repeat(32) };
    const { revoke } = await serving({
      clients: [clientSetting(CLIENT), clientSetting(shop, { audiences: ['shop'] })],
    });
    const { token } = await issue();
    const expired = await issue('--ttl', '1s');
    stores.clock.advance(10);
    const before = await stores.content();
    for (const invalid of ['', 'x', `${token}x`, `${token.slice(0, -10)}AAAAAAAAAA`, expired.token]) {
      expect((await revoke({ token: invalid })).statusCode).toBe(200);
    }
    const refused = await revoke({ token }, shop);
    expect([refused.statusCode, refused.json().error]).toEqual([400, 'unauthorized_client']);
    expect((await revoke({})).json()).toMatchObject({ error: 'invalid_request' });
    expect(await stores.content()).toBe(before);
  });

  test('POST /logout ends the token of the request and its session, if it is on', async () => {
    const off = await serving();
    const { token } = await issue();
    expect(
      (await off.app.inject({ method: 'POST', url: '/logout', headers: bearer(token) })).statusCode,
    ).toBe(404);

    const one = await serving({ logout: true, cookie: 'session' });
    const logout = (headers: Record<string, string>, payload?: string) =>
      one.app.inject({
        method: 'POST',
        url: '/logout',
        headers,
        ...(payload === undefined ? {} : { payload }),
      });
    const session = await one.session();
    expect((await logout(bearer(token), '{')).statusCode).toBe(204);
    expect(await lastRow()).toMatchObject({ actor: `user:${sub}`, action: 'token.revoke' });
    expect(await one.isActive(token)).toBe(false);
    expect(await one.isActive(session.token)).toBe(true);
    const again = await logout(bearer(token));
    expect([again.statusCode, again.headers['www-authenticate']]).toEqual([
      401,
      expect.stringContaining('error="invalid_token"'),
    ]);
    expect((await logout({})).statusCode).toBe(401);
    expect((await logout({ ...bearer(token), cookie: `session=${token}` })).statusCode).toBe(400);

    expect(
      (await logout({ cookie: `session=${session.token}`, 'content-type': 'a/b' }, 'x')).statusCode,
    ).toBe(204);
    expect(await live()).toEqual([]);
  });

  test('POST /logout works for a user with the longest name', async () => {
    sub = String(number).padEnd(255, 'x');
    await stores.json('users', 'add', sub);
    const { app } = await serving({ logout: true });
    const { token } = await issue();
    const { statusCode } = await app.inject({ method: 'POST', url: '/logout', headers: bearer(token) });
    expect(statusCode).toBe(204);
    expect(await live()).toEqual([]);
  });

  test('POST /logout records a name that it must shorten without half a character', async () => {
    sub = `${number}`.padEnd(249, 'x').concat('😀');
    await stores.json('users', 'add', sub);
    const { app } = await serving({ logout: true });
    const { token } = await issue();
    const { statusCode } = await app.inject({ method: 'POST', url: '/logout', headers: bearer(token) });
    expect(statusCode).toBe(204);
    expect(await lastRow()).toMatchObject({ actor: `user:${sub.slice(0, 249)}\ufffd` });
    expect((await stores.run('audit', 'verify')).exitCode).toBe(0);
  });

  test('POST /logout works without clients', async () => {
    const { app } = await serving({ clients: null, logout: true });
    const { token } = await issue();
    expect((await app.inject({ method: 'POST', url: '/logout', headers: bearer(token) })).statusCode).toBe(
      204,
    );
    expect((await app.inject({ method: 'POST', url: '/introspect' })).statusCode).toBe(404);
  });

  test('GET lists tokens and sessions as `token list` does', async () => {
    const { call, session } = await serving();
    await issue('--meta', 'device=phone');
    await session();
    const listed = await stores.json('token', 'list', '--sub', sub);
    expect(listed).toHaveLength(2);
    const expected = listed.map(({ sub: _, ...token }: Record<string, unknown>) => token);
    const answer = await call('GET', path());
    expect([answer.statusCode, answer.json()]).toEqual([200, expected]);
    expect((await call('GET', `/v1/tokens?sub=${encodeURIComponent(sub)}`)).json()).toEqual(expected);
    expect((await call('GET', '/v1/users/unknown/tokens')).json()).toEqual([]);
  });

  test.each(['a/b', '..', '.', 'é %2F', 'x'.repeat(255), '%'])('reaches the subject %j', async (name) => {
    const { call } = await serving();
    const { jti } = await stores.json('token', 'issue', `--sub=${name}`, '--create-user');
    const urls = [`/v1/tokens?sub=${encodeURIComponent(name)}`];
    if (!/^\.+$/.test(name)) urls.push(`/v1/users/${encodeURIComponent(name)}/tokens`);
    for (const url of urls) expect((await call('GET', url)).json()).toMatchObject([{ jti }]);
    const answer = await call('DELETE', `/v1/tokens/${jti}?sub=${encodeURIComponent(name)}`);
    expect(answer.json()).toEqual({ revoked: 1, sessions: 0, alreadyGone: 0 });
  });

  test('DELETE with a jti ends that token, and says if it was gone', async () => {
    const { call, isActive } = await serving();
    const [one, other] = [await issue(), await issue()];
    const first = await call('DELETE', path(`/${one.jti}`));
    expect([first.statusCode, first.json()]).toEqual([200, { revoked: 1, sessions: 0, alreadyGone: 0 }]);
    expect((await call('DELETE', path(`/${one.jti}`))).json()).toEqual({
      revoked: 0,
      sessions: 0,
      alreadyGone: 1,
    });
    expect([await isActive(one.token), await isActive(other.token)]).toEqual([false, true]);
    expect(await live()).toEqual([other.jti]);
  });

  test('DELETE with all=true ends every token and session', async () => {
    const { call, session } = await serving();
    await issue();
    await session();
    expect((await call('DELETE', path('?all=true'))).json()).toEqual({
      revoked: 2,
      sessions: 1,
      alreadyGone: 0,
    });
    expect(await live()).toEqual([]);
    expect(await lastRow()).toMatchObject({ actor: `client:${CLIENT.id}`, target: sub });
  });

  test('DELETE with except ends all but this token or session', async () => {
    const { call, session, isActive } = await serving();
    const [plain, other] = [await issue(), await issue()];
    const [kept, ended] = [await session(), await session()];
    const answer = await call('DELETE', path(`?except=${kept.jti}`));
    expect([answer.statusCode, answer.json()]).toEqual([200, { revoked: 3, sessions: 1, alreadyGone: 0 }]);
    expect(await live()).toEqual([kept.jti]);
    expect(await Promise.all([plain, other, kept, ended].map(({ token }) => isActive(token)))).toEqual([
      ...[false, false, true, false],
    ]);
    expect(await lastRow()).toMatchObject({ target: `${sub} except ${kept.jti.split('.')[0]}` });
    stores.clock.advance(1);
    const next = await issue();
    stores.clock.advance(1);
    expect((await call('DELETE', path(`?except=${next.jti}`))).json()).toMatchObject({
      revoked: 1,
      sessions: 1,
    });
    expect(await live()).toEqual([next.jti]);
    const events = await stores.query('SELECT type, except_jti FROM security_log WHERE sub = ? ORDER BY id', [
      sub,
    ]);
    expect(events).toEqual(
      [kept.jti.split('.')[0], next.jti].map((except_jti) => ({ type: 'subject_revoked', except_jti })),
    );
  });

  test('DELETE with except ends others that a restored registry brings back', async () => {
    const { call, isActive } = await serving();
    const [lost, kept] = [await issue(), await issue()];
    const backup = `${stores.home}/${sub.replaceAll(' ', '-')}`;
    await stores
      .json('cache', 'snapshot', backup, '--sub', sub)
      .catch(() => stores.json('cache', 'snapshot', backup));
    await stores.json('cache', 'flush', '--sub', sub, '--yes');
    stores.clock.advance(1);
    expect((await call('DELETE', path(`?except=${kept.jti}`))).json()).toMatchObject({ revoked: 0 });
    await stores.json('cache', 'restore', backup, '--yes');
    expect([await isActive(lost.token), await isActive(kept.token)]).toEqual([false, true]);
  });

  test('DELETE with where ends the tokens and sessions whose meta has all pairs', async () => {
    const { call, isActive } = await serving();
    const phone = await issue('--meta', 'device=phone', '--meta', 'city=Graz');
    const other = await issue('--meta', 'device=phone');
    const session = await issue('--meta', 'device=phone', '--meta', 'city=Graz', '--refresh');
    const plain = await issue();
    const pairs = `where=${encodeURIComponent('device=phone')}&where=city=Graz`;
    const url = `/v1/tokens?sub=${encodeURIComponent(sub)}&${pairs}`;
    const nothing = { revoked: 0, sessions: 0, alreadyGone: 0, withoutMeta: 1 };
    expect((await call('DELETE', path('?where=device=pho'))).json()).toEqual(nothing);
    const answer = await call('DELETE', url);
    expect([answer.statusCode, answer.json()]).toEqual([
      ...[200, { revoked: 2, sessions: 1, alreadyGone: 0, withoutMeta: 1 }],
    ]);
    const tokens = [phone, session, other, plain];
    expect(await Promise.all(tokens.map(({ token }) => isActive(token)))).toEqual([false, false, true, true]);
    expect((await call('DELETE', path('?where=device=phone'))).json()).toMatchObject({ revoked: 1 });
    expect(await live()).toEqual([plain.jti]);
  });

  test('DELETE with issuedBefore ends tokens that are as old', async () => {
    const { call } = await serving();
    await issue();
    const at = stores.clock.now();
    stores.clock.advance(1);
    const later = await issue();
    expect((await call('DELETE', path(`?issuedBefore=${at}`))).json()).toMatchObject({ revoked: 1 });
    expect(await live()).toEqual([later.jti]);
  });

  test('refuses queries that it does not understand, and changes nothing', async () => {
    const { call } = await serving();
    await issue();
    const before = await stores.content();
    const future = stores.clock.now() + 1;
    for (const [method, url, status, field] of [
      ['DELETE', path(), 422, 'all'],
      ['DELETE', path('?all=false'), 422, 'all'],
      ['DELETE', path('?all=true&all=true'), 422, 'all'],
      ['DELETE', path('?all=true&except=x'), 422, 'all'],
      ['DELETE', path('?everything=true'), 422, 'everything'],
      ['DELETE', path('?issuedBefore=yesterday'), 422, 'issuedBefore'],
      ['DELETE', path(`?issuedBefore=${future}`), 422, 'issuedBefore'],
      ['DELETE', path('?except='), 422, 'except'],
      ['DELETE', path('?where=phone'), 422, 'where'],
      ['DELETE', path('?where=a=b&where=a=c'), 422, 'where'],
      ['DELETE', path('?where=a=b&all=true'), 422, 'all'],
      ['DELETE', '/v1/tokens?all=true', 422, 'sub'],
      ['DELETE', '/v1/tokens?sub=&all=true', 422, 'sub'],
      ['DELETE', path('/a%00?'), 422, 'jti'],
      ['GET', '/v1/tokens', 422, 'sub'],
      ['GET', path('?limit=1'), 422, 'limit'],
      ['GET', '/v1/users/a%00b/tokens', 422, 'sub'],
      ['GET', '/v1/users/%zz/tokens', 400, undefined],
      ['GET', `/v1/users/${'x'.repeat(256)}/tokens`, 422, 'sub'],
    ] as const) {
      const answer = await call(method, url);
      expect([url, answer.statusCode, answer.json().field]).toEqual([url, status, field]);
    }
    expect(await stores.content()).toBe(before);
  });
});

test('without MySQL, every endpoint that changes something answers 503, and nothing changes', async () => {
  const stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TIMEOUT: '2s' });
  await stores.json('keys', 'generate');
  await stores.json('users', 'add', 'alice');
  const { token, jti } = await stores.json('token', 'issue', '--sub', 'alice');
  const proxy = await startSwitchingProxy(String(stores.env.JWTCTL_MYSQL_URL));
  const env = { ...stores.env, JWTCTL_MYSQL_URL: proxy.url };
  const { app, close } = await openServing({ ...stores, env }, { logout: true });
  try {
    expect((await app.inject({ url: '/verify', headers: bearer(token) })).statusCode).toBe(200);
    const before = await stores.content();
    await proxy.stop();
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    for (const request of [
      { method: 'POST', url: '/revoke', payload: `token=${token}`, headers: { ...basic(CLIENT), ...form } },
      { method: 'POST', url: '/logout', headers: bearer(token) },
      { method: 'GET', url: '/v1/users/alice/tokens', headers: basic(CLIENT) },
      { method: 'DELETE', url: '/v1/users/alice/tokens?all=true', headers: basic(CLIENT) },
      { method: 'DELETE', url: '/v1/users/alice/tokens?except=x', headers: basic(CLIENT) },
      { method: 'DELETE', url: `/v1/users/alice/tokens/${jti}`, headers: basic(CLIENT) },
    ] as const) {
      const answer = await app.inject(request);
      expect([request.url, answer.statusCode, answer.headers['retry-after']]).toEqual([
        request.url,
        503,
        '1',
      ]);
    }
    expect(await stores.content()).toBe(before);
  } finally {
    await close();
    await stores.close();
  }
});
