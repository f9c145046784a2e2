import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { closedPorts } from '../../../support/proxies/silent-server.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

const LEAD = 600;
const DUE = 30 * 86_400;

describe.each(BACKENDS)('keys.publishUrl on %s', (backend) => {
  let stores: Stores;
  let server: Server;
  let answer: RequestListener;
  let requests: number;
  let active: string;
  let pending: string;
  let current: string;

  beforeEach(async () => {
    requests = 0;
    server = createServer((request, response) => {
      requests += 1;
      answer(request, response);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
    stores = await openStores(backend, { JWTCTL_KEYS_PUBLISH_URL: url });
    active = (await stores.json('keys', 'generate')).kid;
    const old = await exported();
    pending = (await stores.json('keys', 'rotate')).pending;
    current = await exported();
    answer = shows(old);
    stores.clock.advance(DUE);
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await stores?.close();
  });
  afterAll(() => server?.close());

  const exported = async () => JSON.stringify(await stores.json('keys', 'export', '--jwks'));
  const shows =
    (...texts: string[]): RequestListener =>
    (_request, response) => {
      response.end(texts[(requests - 1) % texts.length]);
    };
  const rotate = (...flags: string[]) => stores.run('keys', 'rotate', '--json', ...flags);
  const activeKey = async () => {
    const keys = await stores.json('keys', 'list');
    return keys.find(({ state }: { state: string }) => state === 'active').kid;
  };

  test('a key that the URL does not show does not sign', async () => {
    const { exitCode, json, stderr } = await rotate();
    expect(exitCode).toBe(0);
    expect(json()).toMatchObject({
      rotated: false,
      reason: 'waiting',
      active,
      pending,
      awaitsPublication: true,
    });
    expect(stderr).toContain(`Key ${pending} does not sign yet`);
    expect(await activeKey()).toBe(active);
    const table = await stores.run('keys', 'rotate');
    expect(table.stdout).toContain(`because keys.publishUrl does not show key ${pending} yet`);

    answer = shows(current);
    const rotated = await rotate();
    expect([rotated.exitCode, rotated.json()]).toMatchObject([0, { rotated: true, active: pending }]);
  });

  test('one stale cache among several is enough to wait', async () => {
    const old = JSON.stringify({
      keys: JSON.parse(current).keys.filter(({ kid }: { kid: string }) => kid !== pending),
    });
    answer = shows(current, current, old);
    expect((await rotate()).json()).toMatchObject({ rotated: false, reason: 'waiting' });
    expect(requests).toBeGreaterThanOrEqual(3);
  });

  test('a cache whose packed copy is stale is enough to wait', async () => {
    const packs =
      (text: string): RequestListener =>
      (request, response) =>
        request.headers['accept-encoding'] === 'gzip'
          ? response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(text))
          : response.end(current);
    const old = JSON.parse(current).keys.filter(({ kid }: { kid: string }) => kid !== pending);
    answer = packs(JSON.stringify({ keys: old }));
    expect((await rotate()).json()).toMatchObject({ rotated: false, reason: 'waiting' });
    answer = packs(current);
    expect((await rotate()).json()).toMatchObject({ rotated: true, active: pending });
  });

  test('another key under the same kid does not count', async () => {
    const keys = JSON.parse(current).keys.map(
      (jwk: { kid: string; n: string }, _: number, all: { n: string }[]) =>
        jwk.kid === pending ? { ...jwk, n: all.find(({ n }) => n !== jwk.n)?.n } : jwk,
    );
    answer = shows(JSON.stringify({ keys }));
    expect((await rotate()).json()).toMatchObject({ rotated: false, reason: 'waiting' });
  });

  test.each<[string, RequestListener]>([
    ['a status other than 200', (_request, response) => response.writeHead(404).end('{"keys":[]}')],
    ['a redirect', (_request, response) => response.writeHead(302, { location: 'http://127.0.0.1/' }).end()],
    ['text that is not JSON', (_request, response) => response.end('<html>')],
    ['JSON that is not a JWK Set', (_request, response) => response.end('[]')],
    ['more than a megabyte', (_request, response) => response.end(`{"keys":["${'x'.repeat(1_100_000)}"]}`)],
    [
      'more than a megabyte, packed',
      (_request, response) =>
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(1_100_000))),
    ],
    ['a closed connection', (request) => request.socket.destroy()],
    ['an answer that does not end', (_request, response) => response.write('{"keys":[')],
  ])('%s: exit 4, and the active key stays', async (_what, listener) => {
    answer = listener;
    const { exitCode, stdout, error } = await rotate('--timeout', '1s');
    expect([exitCode, error().code]).toEqual([4, 'ERR_PUBLISH_URL_UNREACHABLE']);
    expect(JSON.parse(stdout)).toMatchObject({ rotated: false, reason: 'waiting', active });
    expect(await activeKey()).toBe(active);
  });

  test('an unreachable URL: exit 4, and keys are still retired and published', async () => {
    const [port] = await closedPorts(1);
    stores.env.JWTCTL_KEYS_PUBLISH_URL = `http://127.0.0.1:${port}/jwks.json`;
    const { exitCode, error } = await rotate();
    expect([exitCode, error().code]).toEqual([4, 'ERR_PUBLISH_URL_UNREACHABLE']);
    expect(error().message).toContain('ECONNREFUSED');
  });

  test('is asked only when a key would begin to sign', async () => {
    stores.clock.advance(-DUE + LEAD / 2);
    expect((await rotate()).json()).toMatchObject({ reason: 'not_due' });
    expect(requests).toBe(0);
  });

  test('keys activate waits too, and --force and --now do not', async () => {
    const refused = await stores.run('keys', 'activate', pending, '--json');
    expect([refused.exitCode, refused.error().code]).toEqual([3, 'ERR_KEY_NOT_PUBLISHED']);
    const rotated = await rotate('--force');
    expect([rotated.exitCode, rotated.json()]).toMatchObject([0, { rotated: true, active: pending }]);
    const next = rotated.json().pending;
    expect((await stores.json('keys', 'activate', next, '--now')).kid).toBe(next);
  });

  test('--wait waits until the URL shows the key, and gives up in time', async () => {
    const given = await rotate('--wait', '30s');
    expect([given.exitCode, given.json()]).toMatchObject([0, { rotated: false, awaitsPublication: true }]);
    const old = answer;
    let asked = 0;
    answer = (request, response) => (++asked > 10 ? shows(current) : old)(request, response);
    const { exitCode, json } = await rotate('--wait', '1h');
    expect([exitCode, json()]).toMatchObject([0, { rotated: true, active: pending }]);
  });

  test('one failure ends the other requests, which might never be answered', async () => {
    const others: Promise<unknown>[] = [];
    answer = (_request, response) => {
      if (requests === 5) response.writeHead(404).end();
      else others.push(once(response, 'close'));
    };
    const { exitCode, error } = await rotate('--timeout', '1h');
    expect([exitCode, error().code]).toEqual([4, 'ERR_PUBLISH_URL_UNREACHABLE']);
    expect(error().message).toContain('answered with status 404');
    expect(await Promise.all(others)).toHaveLength(4);
  });

  test.each([
    'https://auth.example.com:99999/jwks.json',
    'http://auth.example.com/jwks.json',
    'ftp://127.0.0.1/x',
    'https://u:p@example.com/',
    'jwks.json',
  ])('the URL %s is refused', async (url) => {
    const { exitCode, error } = await rotate('--keys-publish-url', url);
    expect([exitCode, error().code]).toEqual([2, 'ERR_CONFIG_VALUE_INVALID']);
  });
});

test('without keys.publishUrl, a rotation says which verifiers jwtctl cannot see', async () => {
  const stores = await openStores('SQLite');
  await stores.json('keys', 'generate');
  await stores.json('keys', 'rotate');
  stores.clock.advance(DUE);
  const { exitCode, stdout } = await stores.run('keys', 'rotate');
  expect(exitCode).toBe(0);
  expect(stdout).toContain(
    'Programs that read the JWK Set were not checked, because keys.publishUrl is not set',
  );
});
