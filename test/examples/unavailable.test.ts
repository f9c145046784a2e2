import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.js';
import { type Application, Browser, PLATFORMS, startApplication } from './application.js';

const AUTH_CLIENT_SECRET = 'a secret of at least 32 characters';

const ROUTES = [
  ['GET', '/me'],
  ['GET', '/admin'],
  ['GET', '/sessions'],
  ['POST', '/refresh'],
  ['POST', '/logout'],
  ['POST', '/logout-everywhere'],
] as const;

for (const platform of PLATFORMS)
  describe.skipIf(!platform.isInstalled)(`examples/${platform.folder} without a working jwtctl`, () => {
    let stub: Server;
    let answer: RequestListener;
    let application: Application;
    const cookies = [
      ['access_token', 'a.b.c'],
      ['refresh_token', 'abc'],
    ] as const;

    beforeAll(async () => {
      stub = createServer((request, response) => answer(request, response)).listen(0, '127.0.0.1');
      await once(stub, 'listening');
      const { port } = stub.address() as AddressInfo;
      const env = { AUTH_URL: `http://127.0.0.1:${port}`, AUTH_CLIENT_SECRET };
      application = await startApplication(platform, env);
    });
    afterAll(async () => {
      await application?.stop();
      stub?.closeAllConnections();
      stub?.close();
    });

    /** Sends a request to each route, and expects that none is accepted, and that no cookie changes. */
    async function everyRoute(expected: (status: number) => void, url = application.url): Promise<void> {
      for (const [method, path] of ROUTES) {
        const { status, set } = await new Browser(url, cookies).send(method, path);
        expect(set, path).toEqual([]);
        expected(status);
      }
      const { status, set } = await new Browser(url).logIn('alice');
      expect(set).toEqual([]);
      expected(status);
    }

    test.each([503, 500, 429, 302])('answers 503 if jwtctl answers %i', async (status) => {
      answer = (_request, response) =>
        response.writeHead(status, { location: '/ok', 'x-auth-subject': 'alice' }).end();
      await everyRoute((seen) => expect(seen).toBe(503));
    });

    test('answers 503 if the connection breaks', async () => {
      answer = (request) => request.socket.destroy();
      await everyRoute((seen) => expect(seen).toBe(503));
    });

    test('answers 503 if jwtctl is stopped', async () => {
      const env = { AUTH_URL: `http://127.0.0.1:${await freePort()}`, AUTH_CLIENT_SECRET };
      const alone = await startApplication(platform, env);
      try {
        await everyRoute((seen) => expect(seen).toBe(503), alone.url);
      } finally {
        await alone.stop();
      }
    });

    test('accepts no token if another server answers 200 to everything', async () => {
      answer = (_request, response) => response.writeHead(200).end();
      for (const path of ['/me', '/admin', '/sessions'])
        expect(await new Browser(application.url, cookies).status('GET', path)).toBeGreaterThanOrEqual(500);
    });
  });
