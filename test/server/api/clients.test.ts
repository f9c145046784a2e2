import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RIGHTS, type Right } from '../../../src/config/serve-clients.js';
import { basic, type Client, clientSetting, type Serving, servingsOver } from '../../support/serving.js';
import { openStores, type Stores } from '../../support/stores.js';

interface Endpoint {
  right: Right;
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  url: string;
  form?: Record<string, string>;
  json?: object;
}

/** Every endpoint for clients. */
const ENDPOINTS: Endpoint[] = [
  { right: 'introspect', method: 'POST', url: '/introspect', form: { token: 'x' } },
  { right: 'issue', method: 'POST', url: '/v1/tokens', json: { sub: 'unknown' } },
  {
    right: 'refresh',
    method: 'POST',
    url: '/token',
    form: { grant_type: 'refresh_token', refresh_token: 'x' },
  },
  { right: 'revoke', method: 'POST', url: '/revoke', form: { token: 'x' } },
  { right: 'read', method: 'GET', url: '/v1/users/unknown/tokens' },
  { right: 'read', method: 'GET', url: '/v1/tokens?sub=unknown' },
  { right: 'revoke', method: 'DELETE', url: '/v1/users/unknown/tokens' },
  { right: 'revoke', method: 'DELETE', url: '/v1/tokens?sub=unknown' },
  { right: 'revoke', method: 'DELETE', url: '/v1/users/unknown/tokens/x?all=true' },
  { right: 'revoke', method: 'DELETE', url: '/v1/tokens/x?sub=unknown&all=true' },
  { right: 'users', method: 'PUT', url: '/v1/users/unknown?x=1', json: {} },
  { right: 'users', method: 'PUT', url: '/v1/users?x=1', json: {} },
  { right: 'users', method: 'PATCH', url: '/v1/users/unknown', json: {} },
  { right: 'users', method: 'PATCH', url: '/v1/users?sub=unknown', json: {} },
  { right: 'users', method: 'POST', url: '/v1/users/unknown/refresh?x=1' },
  { right: 'users', method: 'POST', url: '/v1/users/refresh?x=1' },
  { right: 'users', method: 'DELETE', url: '/v1/users/unknown' },
  { right: 'users', method: 'DELETE', url: '/v1/users?sub=unknown' },
];

/** The endpoints whose errors have the form of RFC 6749 §5.2. */
const isOauth = ({ form }: Endpoint) => form !== undefined;

describe('clients', () => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  const serving = servingsOver(() => stores);

  const clientOf = (id: string): Client => ({ id, secret: `secret of ${id}`.padEnd(32, '.') });

  function send({ app }: Serving, { method, url, form, json }: Endpoint, headers: Record<string, string>) {
    const type = form === undefined ? 'application/json' : 'application/x-www-form-urlencoded';
    const payload = form === undefined ? JSON.stringify(json) : new URLSearchParams(form).toString();
    const typed = payload === undefined ? headers : { 'content-type': type, ...headers };
    return app.inject({ method, url, headers: typed, ...(payload === undefined ? {} : { payload }) });
  }

  test('each right opens exactly its endpoints', async () => {
    const without = (right: Right) => `all but ${right}`;
    const one = await serving({
      clients: RIGHTS.flatMap((right) => [
        clientSetting(clientOf(right), { may: [right] }),
        clientSetting(clientOf(without(right)), { may: RIGHTS.filter((other) => other !== right) }),
      ]),
    });
    for (const endpoint of ENDPOINTS) {
      for (const right of RIGHTS) {
        for (const id of [right, without(right)]) {
          const answer = await send(one, endpoint, basic(clientOf(id)));
          const isAllowed = (id === right) === (right === endpoint.right);
          const where = `${endpoint.method} ${endpoint.url} as ${id}`;
          const { code, error } = answer.statusCode < 400 ? {} : answer.json();
          const isForbidden = code === 'ERR_CLIENT_FORBIDDEN' || error === 'unauthorized_client';
          expect(isForbidden, where).toBe(!isAllowed);
          // RFC 6749 §5.2: only a failed authentication has a status of its own.
          if (isForbidden) expect(answer.statusCode, where).toBe(isOauth(endpoint) ? 400 : 403);
        }
      }
    }
    expect(
      one.lines().some(({ code, client }) => code === 'ERR_CLIENT_FORBIDDEN' && client === 'issue'),
    ).toBe(true);
  });

  test('every endpoint refuses missing and wrong credentials before it reads the body', async () => {
    const one = await serving();
    const before = await stores.content();
    for (const endpoint of ENDPOINTS) {
      for (const headers of [{}, basic(clientOf('unknown')), { authorization: 'Bearer x' }] as const) {
        const answer = await send(one, endpoint, { ...headers, 'content-type': 'text/html' });
        expect([endpoint.url, answer.statusCode]).toEqual([endpoint.url, 401]);
        expect(answer.headers['www-authenticate']).toBe('Basic realm="jwtctl", charset="UTF-8"');
      }
    }
    expect(await stores.content()).toBe(before);
  });

  test('a secret that is too short is refused, although its digest is set', async () => {
    const secrets = ['x'.repeat(31), 'x'.repeat(32)];
    const answers = secrets.map(async (secret) => {
      const client = { id: 'app', secret };
      const one = await serving({ clients: [clientSetting(client)] });
      const [introspect] = ENDPOINTS;
      return (await send(one, introspect as Endpoint, basic(client))).statusCode;
    });
    expect(await Promise.all(answers)).toEqual([401, 200]);
  });

  test('lists every endpoint above', async () => {
    const { app } = await serving();
    await app.ready();
    const known = ENDPOINTS.map(({ method, url }) => `${method} ${url.replace(/\?.*/, '')}`);
    expect(new Set(known).size).toBe(ENDPOINTS.length);
    for (const { method, url } of ENDPOINTS) {
      const path = url.replace(/\?.*/, '').replace('/users/unknown', '/users/:sub').replace(/\/x$/, '/:jti');
      expect(app.hasRoute({ method, url: path }), `${method} ${path}`).toBe(true);
    }
  });

  test('a client of some audiences may neither list nor end tokens by their IDs', async () => {
    const some = clientOf('some');
    const one = await serving({ clients: [clientSetting(some, { audiences: ['user'] })] });
    const { jti } = await stores.json('token', 'issue', '--sub', 'alice');
    for (const [method, url] of [
      ['GET', '/v1/users/alice/tokens'],
      ['GET', '/v1/tokens?sub=alice'],
      ['DELETE', '/v1/users/alice/tokens?all=true'],
      ['DELETE', '/v1/tokens?sub=alice&all=true'],
      ['DELETE', `/v1/users/alice/tokens/${jti}`],
      ['DELETE', `/v1/tokens/${jti}?sub=alice`],
    ] as const) {
      const answer = await one.app.inject({ method, url, headers: basic(some) });
      expect([url, answer.statusCode, answer.json().code]).toEqual([url, 403, 'ERR_CLIENT_FORBIDDEN']);
    }
    expect(
      (await stores.json('token', 'list', '--sub', 'alice')).some(
        (token: { jti: string }) => token.jti === jti,
      ),
    ).toBe(true);
  });

  test('a token of another audience looks inactive', async () => {
    const [all, some, other] = [clientOf('all'), clientOf('some'), clientOf('other')];
    const one = await serving({
      clients: [
        clientSetting(all),
        clientSetting(some, { audiences: ['user', 'shop'] }),
        clientSetting(other, { audiences: ['shop'] }),
      ],
    });
    const { token } = await stores.json('token', 'issue', '--sub', 'alice');
    const both = await stores.json('token', 'issue', '--sub', 'alice', '--aud', 'user', '--aud', 'shop');
    const three = await stores.json('token', 'issue', '--sub', 'alice', '--aud', 'user', '--aud', 'bank');
    const active = async (client: Client, form: string) =>
      (
        await send(
          one,
          { right: 'introspect', method: 'POST', url: '/introspect', form: { token: form } },
          basic(client),
        )
      ).json().active;
    expect(await active(all, token)).toBe(true);
    expect(await active(some, token)).toBe(true);
    expect(await active(other, token)).toBe(false);
    expect(await active(some, both.token)).toBe(true);
    expect(await active(some, three.token)).toBe(false);
  });

  test('an answer has the request ID of the log line: a well-formed one of the request, or a new one', async () => {
    const one = await serving();
    const ask = (headers: Record<string, string>) =>
      one.app.inject({ method: 'POST', url: '/introspect', headers });
    expect((await ask({ 'x-request-id': 'abc/1' })).headers['x-request-id']).toBe('abc/1');
    const ids = [await ask({}), await ask({ 'x-request-id': 'a b' })].map(
      ({ headers }) => headers['x-request-id'],
    );
    expect(new Set(ids).size).toBe(2);
    expect(ids.every((id) => /^[\w-]{8}-\w+$/.test(String(id)))).toBe(true);
    expect(one.lines().map(({ requestId }) => requestId)).toEqual(['abc/1', ...ids]);
  });
});
