import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { basic, CLIENT, servingsOver } from '../../support/serving.js';
import { BACKENDS, openStores, type Stores } from '../../support/stores.js';

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

/** RFC 7662 §2.2, figure 2. */
const RFC_EXAMPLE = {
  active: true,
  client_id: 'l238j323ds-23ij4',
  username: 'jdoe',
  scope: 'read write dolphin',
  sub: 'Z5O3upPC88QrAjx00dis',
  aud: 'https://protected.example.net/resource',
  iss: 'https://server.example.com/',
  exp: 1419356238,
  iat: 1419350238,
  extension_field: 'twenty-seven',
};

describe.each(BACKENDS)('/introspect on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend, {
      JWTCTL_TOKEN_ISSUER: RFC_EXAMPLE.iss,
      JWTCTL_TOKEN_AUDIENCE: RFC_EXAMPLE.aud,
    });
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', RFC_EXAMPLE.sub);
  });
  afterAll(() => stores?.close());

  const open = servingsOver(() => stores);

  async function serving(options: Parameters<typeof open>[0] = {}) {
    const one = await open(options);
    const ask = (payload: string, headers: object = basic(CLIENT)) =>
      one.app.inject({ method: 'POST', url: '/introspect', headers: { ...FORM, ...headers }, payload });
    return { ...one, ask };
  }

  const issue = (...claims: string[]) => stores.json('token', 'issue', '--sub', RFC_EXAMPLE.sub, ...claims);

  test("returns an active token's members as in the example of RFC 7662 §2.2, and no others", async () => {
    const { client_id, username, scope, extension_field, sub, aud, iss } = RFC_EXAMPLE;
    const { token, exp, iat, jti } = await issue(
      ...['--claim', `client_id=${client_id}`, '--claim', `username=${username}`],
      ...['--claim', `scope=${scope}`, '--claim', `extension_field=${extension_field}`],
    );
    const { ask } = await serving();
    const answer = await ask(`token=${token}&token_type_hint=access_token`);

    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.json()).toEqual({
      ...{ active: true, client_id, username, scope, sub, aud, iss, exp, iat, jti },
      token_type: 'Bearer',
    });
    const common = Object.keys(RFC_EXAMPLE).filter((member) => member !== 'extension_field');
    for (const member of common) {
      expect(typeof answer.json()[member]).toBe(typeof RFC_EXAMPLE[member as keyof typeof RFC_EXAMPLE]);
    }
  });

  test('omits members that are absent or not strings; returns nbf if present', async () => {
    const { ask } = await serving();
    const plain = await ask(`token=${(await issue('--claim', 'scope=["a"]')).token}`);
    expect(Object.keys(plain.json()).sort()).toEqual(
      ['active', 'aud', 'exp', 'iat', 'iss', 'jti', 'sub', 'token_type'].sort(),
    );
    const now = stores.clock.now();
    const later = await ask(`token=${(await issue('--not-before', '1s')).token}`);
    expect(later.json()).toMatchObject({ active: true, nbf: now + 1 });
  });

  test('returns inactive for every refused token, and logs the reason', async () => {
    const { token } = await issue();
    await stores.json('token', 'revoke', token);
    const { ask, lines } = await serving();
    for (const candidate of [token, 'x', '', `${token}x`]) {
      const answer = await ask(`token=${candidate}`);
      expect({ status: answer.statusCode, body: answer.body }).toEqual({
        status: 200,
        body: '{"active":false}',
      });
      expect(answer.headers['cache-control']).toBe('no-store');
    }
    expect(lines().map(({ code }) => code)).toEqual([
      'ERR_TOKEN_REVOKED',
      'ERR_TOKEN_MALFORMED',
      'ERR_TOKEN_MALFORMED',
      expect.stringMatching(/^ERR_(SIGNATURE_INVALID|TOKEN_MALFORMED)$/),
    ]);
    expect(JSON.stringify(lines())).not.toContain(token.slice(-20));
  });

  test('accepts only the client, also with form-urlencoded credentials (RFC 6749 §2.3.1)', async () => {
    const { ask, lines } = await serving();
    const { token } = await issue();
    const encoded = {
      id: 'api+gateway',
      secret: encodeURIComponent(CLIENT.secret),
    };
    for (const headers of [basic(CLIENT), basic(encoded)]) {
      expect((await ask(`token=${token}`, headers)).json().active).toBe(true);
    }
    for (const headers of [
      {},
      basic({ ...CLIENT, secret: `${CLIENT.secret}x` }),
      basic({ ...CLIENT, id: 'other' }),
      basic({ id: '', secret: '' }),
      { authorization: 'Basic !!' },
      { authorization: `Bearer ${token}` },
    ]) {
      const answer = await ask(`token=${token}`, headers);
      expect(answer.statusCode).toBe(401);
      expect(answer.json()).toEqual({
        error: 'invalid_client',
        error_description: 'The client did not authenticate.',
      });
      expect(answer.headers['www-authenticate']).toBe('Basic realm="jwtctl", charset="UTF-8"');
      expect(answer.headers['cache-control']).toBe('no-store');
    }
    expect(lines().every(({ code }) => code === 'ERR_CLIENT_UNAUTHENTICATED')).toBe(true);
    expect(JSON.stringify(lines())).not.toContain('s3cret');
  });

  describe('wrong credentials', () => {
    const wrong = (count: number) => basic({ ...CLIENT, secret: `${CLIENT.secret}${count}` });

    async function trying() {
      const { app } = await serving();
      return async (headers: object, remoteAddress = '203.0.113.1') => {
        const answer = await app.inject({
          ...{ method: 'POST', url: '/introspect', remoteAddress, payload: 'token=x' },
          headers: { ...FORM, ...headers },
        });
        return { status: answer.statusCode, retryAfter: answer.headers['retry-after'], body: answer.body };
      };
    }

    test('are limited to 10 per minute and address; further ones are not checked', async () => {
      const ask = await trying();
      for (let count = 0; count < 10; count++) expect((await ask(wrong(count))).status).toBe(401);
      const limited = {
        status: 429,
        retryAfter: '60',
        body: expect.stringContaining('"error":"too_many_attempts"'),
      };
      expect(await ask(wrong(10))).toEqual(limited);
      expect(await ask(basic(CLIENT))).toEqual(limited);
      expect((await ask(basic(CLIENT), '203.0.113.2')).status).toBe(200);
      expect((await ask(wrong(11), '::ffff:203.0.113.1')).status).toBe(429);

      stores.clock.advance(59);
      expect(await ask(basic(CLIENT))).toMatchObject({ status: 429, retryAfter: '1' });
      stores.clock.advance(1);
      expect((await ask(basic(CLIENT))).status).toBe(200);
      expect((await ask(wrong(12))).status).toBe(401);
    });

    test('from an IPv6 address count for all addresses with the same first 64 bits', async () => {
      const ask = await trying();
      for (let count = 0; count < 10; count++) await ask(wrong(count), `2001:db8::${count}`);
      expect((await ask(wrong(10), '2001:db8:0:0:ffff::1')).status).toBe(429);
      expect((await ask(wrong(10), '2001:db8:0:1::1')).status).toBe(401);
    });

    test('count once if repeated, and a request without credentials does not count', async () => {
      const ask = await trying();
      for (let count = 0; count < 30; count++) {
        expect((await ask(wrong(0))).status).toBe(401);
        expect((await ask({})).status).toBe(401);
      }
      expect((await ask(basic(CLIENT))).status).toBe(200);
    });
  });

  test('refuses a request without a token, with two tokens, or without a form', async () => {
    const { ask } = await serving();
    for (const payload of ['', 'other=x', 'token=a&token=b']) {
      const answer = await ask(payload);
      expect(answer.statusCode).toBe(400);
      expect(answer.json()).toMatchObject({ error: 'invalid_request' });
    }
    expect((await ask('{"token":"x"}', { ...basic(CLIENT), 'content-type': 'text/html' })).statusCode).toBe(
      415,
    );
    expect((await ask(`token=${'x'.repeat(70_000)}`)).statusCode).toBe(413);
  });

  test('has no route without a configured client', async () => {
    const { ask } = await serving({ clients: null });
    expect((await ask('token=x')).statusCode).toBe(404);
  });

  test('returns 503 if a store does not answer', async () => {
    const { ask, lines } = await serving({
      verifier: {
        verify: async () => {
          throw new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is away.');
        },
      },
    });
    const answer = await ask('token=x');
    expect(answer.statusCode).toBe(503);
    expect(answer.headers['retry-after']).toBe('1');
    expect(lines()).toMatchObject([{ level: 'error', code: 'ERR_REDIS_UNREACHABLE' }]);
  });
});
