import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import { bearer, servingsOver } from '../support/serving.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

describe.each(BACKENDS)('/verify on %s', (backend) => {
  let stores: Stores;
  let token: string;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
    token = (await stores.json('token', 'issue', '--sub', 'alice')).token;
  });
  afterAll(() => stores?.close());

  const serving = servingsOver(() => stores);

  test('accepts a valid token and passes the subject to the back end', async () => {
    const { app } = await serving();
    const { statusCode, headers, body } = await app.inject({ url: '/verify', headers: bearer(token) });

    const { payload } = await stores.json('token', 'decode', token);
    expect({ statusCode, body }).toEqual({ statusCode: 200, body: '' });
    expect(headers).toMatchObject({
      'x-auth-subject': 'alice',
      'x-auth-jti': payload.jti,
      'cache-control': 'no-store',
      'content-length': '0',
    });
    expect(headers['www-authenticate']).toBeUndefined();
    expect(headers['content-type']).toBeUndefined();
  });

  test('percent-encodes a subject that a header cannot contain', async () => {
    const { app } = await serving();
    for (const sub of ['é ü', '100%', 'a b', '日本', 'a,b;c="d"', 'plain+tag@example.com']) {
      const issued = await stores.json('token', 'issue', '--create-user', `--sub=${sub}`);
      const { headers } = await app.inject({ url: '/verify', headers: bearer(issued.token) });
      const text = String(headers['x-auth-subject']);
      expect(decodeURIComponent(text)).toBe(sub);
      expect(text).toMatch(/^[\x21-\x7e]+$/);
    }
    const plain = await stores.json('token', 'issue', '--sub', 'plain+tag@example.com');
    expect((await app.inject({ url: '/verify', headers: bearer(plain.token) })).headers).toMatchObject({
      'x-auth-subject': 'plain+tag@example.com',
    });
  });

  test('answers each refusal with its phrase, and logs its code', async () => {
    const revoked = (await stores.json('token', 'issue', '--sub', 'alice')).token;
    await stores.json('token', 'revoke', revoked);
    const { app, lines } = await serving();
    const expired = (await stores.json('token', 'issue', '--sub', 'alice', '--ttl', '1')).token;
    stores.clock.advance(10);
    const cases = [
      [revoked, 'Authorization Failure', 'ERR_TOKEN_REVOKED'],
      [expired, 'Token Expired', 'ERR_TOKEN_EXPIRED'],
      ['x', 'Invalid Token', 'ERR_TOKEN_MALFORMED'],
      ['', 'Invalid Token', 'ERR_TOKEN_MALFORMED'],
      [`${token.slice(0, -8)}AAAAAAAA`, 'Invalid Token', 'ERR_SIGNATURE_INVALID'],
    ] as const;
    for (const [candidate, phrase, code] of cases) {
      const answer = await app.inject({
        url: '/verify?access_token=seen',
        headers: { ...bearer(candidate), 'x-request-id': 'r-1' },
      });
      expect(answer.statusCode).toBe(401);
      expect(answer.headers['www-authenticate']).toBe(
        `Bearer realm="jwtctl", error="invalid_token", error_description="${phrase}"`,
      );
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(answer.json()).toEqual({ error: phrase, code });
      expect(JSON.stringify(answer.headers)).not.toContain('ERR_');
    }
    expect(lines().map(({ code }) => code)).toEqual(cases.map(([, , code]) => code));
    expect(lines()[0]).toMatchObject({
      level: 'info',
      requestId: 'r-1',
      method: 'GET',
      route: '/verify',
      status: 401,
      durationMs: expect.any(Number),
    });
    const logged = JSON.stringify(lines());
    for (const [candidate] of cases)
      if (candidate.length > 1) expect(logged).not.toContain(candidate.slice(-20));
    expect(logged).not.toContain('seen');
  });

  test('answers a request without a token with the bare challenge (RFC 6750 §3.1)', async () => {
    const { app, lines } = await serving();
    for (const headers of [{}, { authorization: 'Basic YTpi' }, { authorization: 'Bearerx y' }]) {
      const answer = await app.inject({ url: '/verify', headers });
      expect(answer.statusCode).toBe(401);
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="jwtctl"');
      expect(answer.json()).toEqual({ error: 'No Token', code: 'ERR_TOKEN_MISSING' });
    }
    expect(lines().map(({ code }) => code)).toEqual(Array(3).fill('ERR_TOKEN_MISSING'));
  });

  test('ignores the case of the scheme', async () => {
    const { app } = await serving();
    for (const scheme of ['bearer', 'BEARER', 'Bearer ']) {
      const answer = await app.inject({ url: '/verify', headers: { authorization: `${scheme} ${token}` } });
      expect(answer.statusCode).toBe(200);
    }
  });

  test('reads a cookie only if one is configured, and refuses more than one token', async () => {
    const without = await serving();
    const cookie = `theme=dark; session="${token}"; other=x`;
    expect((await without.app.inject({ url: '/verify', headers: { cookie } })).statusCode).toBe(401);

    const { app, lines } = await serving({ cookie: 'session' });
    const status = async (headers: Record<string, string>) =>
      (await app.inject({ url: '/verify', headers })).statusCode;
    expect(await status({ cookie })).toBe(200);
    expect(await status({ cookie, authorization: 'Basic YTpi' })).toBe(200);
    expect(await status({ cookie: `session=; a=b`, ...bearer(token) })).toBe(200);
    expect(await status({ cookie: `xsession=${token}` })).toBe(401);
    expect(await status({ cookie: 'session=' })).toBe(401);
    expect(await status({ cookie: `theme=dark; \t session \t=\t${token} ` })).toBe(200);
    // For a browser, these are different names, without the protection of the prefix __Host-.
    for (const space of ['\u00a0', '\u0085', '\u000b', '\u000c', '\ufeff', '\u2003', '\u3000']) {
      expect(await status({ cookie: `${space}session=${token}` })).toBe(401);
      expect(await status({ cookie: `session${space}=${token}` })).toBe(401);
      expect(await status({ cookie: `session=${space}${token}` })).toBe(401);
      expect(await status({ authorization: `Bearer ${space}${token}` })).toBe(401);
    }

    const both = await app.inject({ url: '/verify', headers: { cookie, ...bearer(token) } });
    expect(both.statusCode).toBe(400);
    expect(both.headers['www-authenticate']).toContain('error="invalid_request"');
    expect(both.json()).toEqual({ error: 'Invalid Request', code: 'ERR_TOKEN_AMBIGUOUS' });
    expect(await status({ cookie: `session=${token}; session=${token}` })).toBe(400);
    expect(lines().at(-1)).toMatchObject({ code: 'ERR_TOKEN_AMBIGUOUS', status: 400 });
  });

  test('over a socket: refuses two Authorization headers, and a header above the limit', async () => {
    const { app, lines } = await serving();
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const ask = async (...headers: string[]) => {
      const asked = request({ host: '127.0.0.1', port, path: '/verify', headers: ['Host', 'x', ...headers] });
      const [response] = (await once(asked.end(), 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    expect(await ask('Authorization', `Bearer ${token}`)).toBe(200);
    expect(await ask('Authorization', `Bearer ${token}`, 'authorization', `Bearer ${token}`)).toBe(400);
    expect(await ask('Authorization', `Bearer ${'x'.repeat(17_000)}`)).toBe(431);
    expect(lines().at(-1)).toMatchObject({ level: 'info', status: 431, code: 'ERR_HTTP_UNREADABLE' });

    const socket = connect(port, '127.0.0.1');
    socket.end(`GET /verify HTTP/1.1\r\nAuthorization : Bearer ${token}\r\n\r\n`);
    const answer = Buffer.concat(await socket.toArray()).toString();
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toContain('{"error":"Bad Request","code":"ERR_HTTP_UNREADABLE"}');
    expect(lines().at(-1)).toMatchObject({ level: 'info', status: 400, code: 'ERR_HTTP_UNREADABLE' });
    expect(JSON.stringify(lines())).not.toContain(token.slice(-20));
    const { body } = await app.inject({ url: '/metrics' });
    expect(body).toContain('jwtctl_unreadable_requests_total{status="431"} 1');
    expect(body).toContain('jwtctl_unreadable_requests_total{status="400"} 1');
  });

  test("accepts any method, and the original request's path and body", async () => {
    const { app } = await serving();
    const ask = async (method: string, url: string, more: object = {}) =>
      (await app.inject({ method: method as 'GET', url, headers: bearer(token), ...more })).statusCode;

    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'PURGE']) {
      expect({ method, status: await ask(method, '/verify') }).toEqual({ method, status: 200 });
    }
    for (const url of ['/verify/', '/verify/a/b?c=d', '/verify?x=%zz', '/verify/%zz', '/verify//..;/a']) {
      expect({ url, status: await ask('POST', url) }).toEqual({ url, status: 200 });
    }
    for (const type of ['application/json', 'text/plain', 'multipart/form-data', 'nonsense']) {
      const headers = { ...bearer(token), 'content-type': type };
      expect(await ask('POST', '/verify', { headers, payload: '{"not json' })).toBe(200);
    }
    expect(await ask('GET', '/verifyx')).toBe(404);
    expect(await ask('GET', '/')).toBe(404);
  });

  test('answers 503 with Retry-After if a store does not answer', async () => {
    const failure = new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is away.');
    const { app, lines } = await serving({
      verifier: {
        verify: async () => {
          throw failure;
        },
      },
    });
    const answer = await app.inject({ url: '/verify', headers: bearer(token) });

    expect(answer.statusCode).toBe(503);
    expect(answer.headers['retry-after']).toBe('1');
    expect(answer.headers['www-authenticate']).toBeUndefined();
    expect(answer.json()).toEqual({ error: 'Service Unavailable', code: 'ERR_REDIS_UNREACHABLE' });
    expect(lines()).toMatchObject([
      { level: 'error', code: 'ERR_REDIS_UNREACHABLE', msg: 'Redis is away.', status: 503 },
    ]);
  });

  test('answers a defect with 500, and keeps its message out of answer and log', async () => {
    const { app, lines } = await serving({
      verifier: {
        verify: async (text) => {
          throw new TypeError(`cannot read ${text}`);
        },
      },
    });
    const answer = await app.inject({ url: '/verify', headers: bearer(token) });

    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toEqual({ error: 'Internal Server Error' });
    expect(lines()).toMatchObject([{ level: 'error', code: 'ERR_BUG', error: 'TypeError', status: 500 }]);
    expect(lines()[0].at.length).toBeGreaterThan(0);
    expect(JSON.stringify(lines())).not.toContain(token);
  });

  test('logs acceptances only at debug, without subject or token', async () => {
    const quiet = await serving();
    await quiet.app.inject({ url: '/verify', headers: bearer(token) });
    expect(quiet.lines()).toEqual([]);

    const { app, lines } = await serving({ level: 'debug' });
    const headers = { ...bearer(token), 'x-request-id': 'no\\"good' };
    await app.inject({ url: '/verify', headers });
    expect(lines()).toMatchObject([{ level: 'debug', code: 'active', status: 200 }]);
    expect(lines()[0].requestId).toMatch(/^[\w-]{8,}-1$/);
  });
});
