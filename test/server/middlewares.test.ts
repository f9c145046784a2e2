import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { type FastifyInstance, fastify } from 'fastify';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import { type JwtctlAuthOptions, jwtctlAuth } from '../../src/express.js';
import { jwtctlPlugin } from '../../src/fastify.js';
import type { RequestVerifier } from '../../src/http/authenticate-request.js';
import { bearer, openServing, type Serving } from '../support/serving.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const COOKIE = 'session';

describe.each(BACKENDS)('the middlewares on %s', (backend) => {
  let stores: Stores;
  let serving: Serving;
  const closers: Array<() => unknown> = [];

  beforeAll(async () => {
    stores = await openStores(backend, { JWTCTL_TOKEN_CLOCK_TOLERANCE: '60s' });
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
    serving = await openServing(stores, { cookie: COOKIE });
  });
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });
  afterAll(async () => {
    await serving?.close();
    await stores?.close();
  });

  const FAMILIES = { Express: expressApp, Fastify: fastifyApp };

  async function expressApp(verifier: RequestVerifier, options: JwtctlAuthOptions = {}): Promise<string> {
    const app = express();
    app.get('/open', (req, res) => {
      res.json(req.auth ?? null);
    });
    app.use(jwtctlAuth(verifier, { cookie: COOKIE, ...options }));
    app.all('/', (req, res) => {
      res.json(req.auth);
    });
    app.use(((_error, _req, res, _next) => {
      res.status(500).json({ error: 'caught' });
    }) satisfies express.ErrorRequestHandler);
    const server: Server = app.listen(0, '127.0.0.1');
    closers.push(() => new Promise((closed) => server.close(closed)));
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function fastifyApp(
    verifier: RequestVerifier,
    options: Pick<JwtctlAuthOptions, 'policy'> = {},
  ): Promise<string> {
    const app: FastifyInstance = fastify();
    closers.push(() => app.close());
    app.setErrorHandler((_error, _request, reply) => reply.code(500).send({ error: 'caught' }));
    app.register(async (guarded) => {
      await guarded.register(jwtctlPlugin, { verifier, cookie: COOKIE, ...options });
      guarded.all('/', async (request) => request.auth);
    });
    app.get('/open', async () => null);
    return app.listen({ port: 0, host: '127.0.0.1' });
  }

  describe.each(Object.entries(FAMILIES))('%s', (_name, open) => {
    test('accepts a valid token and passes on its header and payload', async () => {
      const { token } = await stores.json('token', 'issue', '--sub', 'alice', '--claim', 'role=admin');
      const url = await open(serving.verifier);
      const expected = await stores.json('token', 'decode', token);
      for (const headers of [bearer(token), { cookie: `${COOKIE}=${token}` }]) {
        const response = await fetch(url, { headers });
        expect(response.status).toBe(200);
        expect(await response.json()).toEqual({ header: expected.header, payload: expected.payload });
      }
    });

    test('answers every other request as /verify does', async () => {
      const { token } = await stores.json('token', 'issue', '--sub', 'alice');
      await stores.json('token', 'revoke', token);
      const url = await open(serving.verifier);
      for (const headers of [
        {},
        bearer('x'),
        bearer(token),
        { cookie: `${COOKIE}=${token}`, ...bearer(token) },
      ]) {
        const told = await serving.app.inject({ url: '/verify', headers });
        const response = await fetch(url, { headers });
        expect({ status: response.status, body: await response.text() }).toEqual({
          status: told.statusCode,
          body: told.body,
        });
        for (const name of ['www-authenticate', 'content-type', 'cache-control', 'x-auth-subject']) {
          expect(response.headers.get(name) ?? undefined).toBe(told.headers[name]);
        }
      }
    });

    test('answers 403 for a token that does not meet the policy', async () => {
      const policy = { scope: 'orders:read', claims: { role: ['admin', 'owner'] } };
      const url = await open(serving.verifier, { policy });
      const ask = async (...claims: string[]) => {
        const flags = claims.flatMap((claim) => ['--claim', claim]);
        const { token } = await stores.json('token', 'issue', '--sub', 'alice', ...flags);
        return fetch(url, { headers: bearer(token) });
      };
      expect((await ask('role=admin', 'scope=orders:read')).status).toBe(200);
      const refused = await ask('role=admin');
      expect([refused.status, await refused.json()]).toEqual([
        ...[403, { error: 'Forbidden', code: 'ERR_SCOPE_INSUFFICIENT' }],
      ]);
      expect(refused.headers.get('www-authenticate')).toContain('scope="orders:read"');
      expect((await ask('role=user', 'scope=orders:read')).status).toBe(403);
      expect((await fetch(url)).status).toBe(401);
    });

    test("compares the login with the verifier's clock, and its tolerance", async () => {
      const policy = { maxAge: '5m' };
      const { verifier } = serving;
      const statusAfter = async (seconds: number, asked: RequestVerifier = verifier) => {
        const login = `auth_time=${verifier.clock.now() - seconds}`;
        const { token } = await stores.json('token', 'issue', '--sub', 'alice', '--claim', login);
        return (await fetch(await open(asked, { policy }), { headers: bearer(token) })).status;
      };
      expect([await statusAfter(-50), await statusAfter(-70)]).toEqual([200, 401]);
      const later = { ...verifier.clock, now: () => verifier.clock.now() + 300 };
      expect(await statusAfter(10, { verify: verifier.verify, clock: later })).toBe(401);
      // A wrapper without a clock: the host's clock, and 5 s.
      expect(await statusAfter(-50, { verify: verifier.verify })).toBe(401);
      expect(await statusAfter(0, { verify: verifier.verify })).toBe(200);
    });

    test('does not begin with a policy that it cannot read', async () => {
      const policy = { scopes: ['orders:read'] } as JwtctlAuthOptions['policy'];
      await expect(open(serving.verifier, { policy: policy as never })).rejects.toMatchObject({
        ...{ code: 'ERR_OPTION_INVALID', message: expect.stringContaining('did you mean scope?') },
      });
    });

    test('does not begin with a policy that is undefined, such as a misspelled one', async () => {
      const policies: Record<string, { scope: string }> = { orders: { scope: 'orders:read' } };
      await expect(open(serving.verifier, { policy: policies.odrers as never })).rejects.toMatchObject({
        ...{ code: 'ERR_OPTION_INVALID', message: expect.stringContaining('policy is missing') },
      });
    });

    test("answers 503 if a store does not answer; a defect goes to the application's error handler", async () => {
      const failing = (error: Error): RequestVerifier => ({
        verify: async () => {
          throw error;
        },
      });
      const away = await fetch(await open(failing(new JwtctlError('ERR_REDIS_UNREACHABLE', 'Away.'))), {
        headers: bearer('x'),
      });
      expect([away.status, away.headers.get('retry-after')]).toEqual([503, '1']);
      expect(await away.json()).toEqual({
        ...{ error: 'Service Unavailable', code: 'ERR_REDIS_UNREACHABLE' },
      });

      const broken = await fetch(await open(failing(new TypeError('x'))), { headers: bearer('x') });
      expect([broken.status, await broken.json()]).toEqual([500, { error: 'caught' }]);
    });

    test.each([undefined, null, 0, '', 'route', 'router'])(
      'lets no request through if a verification rejects with %j',
      async (reason) => {
        const url = await open({ verify: () => Promise.reject(reason) });
        const response = await fetch(url, { headers: bearer('x') });
        expect([response.status, await response.json()]).toEqual([500, { error: 'caught' }]);
      },
    );

    test('guards only the handlers after it, or in its scope', async () => {
      const url = await open(serving.verifier);
      const response = await fetch(`${url}/open`);
      expect([response.status, await response.json()]).toEqual([200, null]);
    });
  });

  test.each([
    [
      'throws',
      () => {
        throw undefined;
      },
    ],
    ['rejects', () => Promise.reject(new Error('The log is full.'))],
    ['rejects with nothing', () => Promise.reject()],
  ])('Express: lets no request through if onRefusal %s', async (_situation, onRefusal) => {
    const response = await fetch(await expressApp(serving.verifier, { onRefusal }), { headers: bearer('x') });
    expect([response.status, await response.json()]).toEqual([500, { error: 'caught' }]);
  });

  test('Express: reports the reason of a refusal only to the application', async () => {
    const told: object[] = [];
    const url = await expressApp(serving.verifier, { onRefusal: (refusal) => told.push(refusal) });
    await fetch(url, { headers: bearer('x') });
    await fetch(url);
    expect(told).toMatchObject([
      { code: 'ERR_TOKEN_MALFORMED', status: 401 },
      { code: 'ERR_TOKEN_MISSING', status: 401 },
    ]);
  });
});
