import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { basic, bearer, CLIENT, servingsOver } from '../support/serving.js';
import { openStores, type Stores } from '../support/stores.js';

const FORM = { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' };

/** The examples of the RFCs, member by member. Only values that the issuer chooses differ. */
describe('the examples of the OAuth RFCs', () => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'johndoe');
    stores.clock.advance(2);
  });
  afterAll(() => stores?.close());

  const serving = servingsOver(() => stores);

  async function open() {
    const { app } = await serving();
    const post = (
      url: string,
      form: Record<string, string>,
      headers: Record<string, string> = basic(CLIENT),
    ) =>
      app.inject({
        ...{ method: 'POST', url, payload: new URLSearchParams(form).toString() },
        headers: { ...FORM, ...headers },
      });
    const logIn = async () => {
      const payload = { sub: 'johndoe', ttl: '1h', refresh: true, claims: { scope: 'read write' } };
      return (
        await app.inject({ method: 'POST', url: '/v1/tokens', payload, headers: basic(CLIENT) })
      ).json();
    };
    return { app, post, logIn };
  }

  test('RFC 6749 §6 and §5.1: a refresh and its response', async () => {
    const { post, logIn } = await open();
    const { refreshToken } = await logIn();
    const answer = await post('/token', { grant_type: 'refresh_token', refresh_token: refreshToken });
    expect([answer.statusCode, answer.headers['cache-control'], answer.headers.pragma]).toEqual([
      ...[200, 'no-store', 'no-cache'],
    ]);
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    // §5.1: scope is optional if it is what the client asked for.
    expect(answer.json()).toEqual({
      ...{ access_token: expect.any(String), token_type: 'Bearer', expires_in: 3600 },
      ...{ refresh_token: expect.any(String), scope: 'read write' },
    });
  });

  test('RFC 6749 §5.2: an error has a status, a name, and a description of allowed characters, and is not cached', async () => {
    const { post } = await open();
    const grant = { grant_type: 'refresh_token', refresh_token: 'x' };
    for (const [form, headers, status, error] of [
      [{}, basic(CLIENT), 400, 'invalid_request'],
      [grant, {}, 401, 'invalid_client'],
      [grant, basic(CLIENT), 400, 'invalid_grant'],
      [{ grant_type: 'a "\\é\n' }, basic(CLIENT), 400, 'unsupported_grant_type'],
    ] as const) {
      const answer = await post('/token', form, headers);
      expect([answer.statusCode, answer.headers['cache-control']]).toEqual([status, 'no-store']);
      expect(answer.json()).toEqual({
        ...{ error, error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/) },
      });
      expect(String(answer.headers['www-authenticate'] ?? '')).toMatch(status === 401 ? /^Basic / : /^$/);
    }
  });

  test('RFC 7009 §2.1 and §2.2: a revocation, also of an unknown token or with an unknown hint', async () => {
    const { post, logIn } = await open();
    const { token, refreshToken } = await logIn();
    for (const form of [
      { token: '45ghiukldjahdnhzdauz', token_type_hint: 'refresh_token' },
      { token: refreshToken, token_type_hint: 'refresh_token' },
      { token, token_type_hint: 'access_token' },
      { token, token_type_hint: 'package' },
    ]) {
      const answer = await post('/revoke', form);
      expect([answer.statusCode, answer.body]).toEqual([200, '']);
    }
    expect((await post('/introspect', { token })).json()).toEqual({ active: false });
  });

  test('RFC 7662 §2.2: an active and an inactive token', async () => {
    const { post, logIn } = await open();
    const { token, iat, exp, jti } = await logIn();
    const answer = await post('/introspect', { token, token_type_hint: 'access_token' });
    expect(answer.json()).toEqual({
      ...{ active: true, scope: 'read write', token_type: 'Bearer', exp, iat, sub: 'johndoe', aud: 'user' },
      ...{ iss: 'jwtctl', jti },
    });
    const inactive = await post('/introspect', { token: 'x' });
    expect([inactive.statusCode, inactive.json()]).toEqual([200, { active: false }]);
    const unauthenticated = await post('/introspect', { token }, {});
    expect([unauthenticated.statusCode, unauthenticated.json().error]).toEqual([401, 'invalid_client']);
  });

  test('RFC 6750 §3: the challenges', async () => {
    const { app } = await open();
    const challenge = async (headers: Record<string, string>) => {
      const answer = await app.inject({ url: '/verify', headers });
      return [answer.statusCode, answer.headers['www-authenticate']];
    };
    expect(await challenge({})).toEqual([401, 'Bearer realm="jwtctl"']);
    const [status, refused] = await challenge(bearer('mF_9.B5f-4.1JqM'));
    expect(status).toBe(401);
    expect(refused).toMatch(/^Bearer realm="jwtctl", error="invalid_token"/);
  });
});
