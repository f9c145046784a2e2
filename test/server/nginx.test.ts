import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Answered, get, type Served, startServed } from '../support/served.js';
import { openServerGroup, startNginx, startRedis } from '../support/servers.js';
import { bearer } from '../support/serving.js';
import { openStores, type Stores } from '../support/stores.js';

const SAMPLE = readFileSync(fileURLToPath(new URL('../../docs/proxies/nginx.conf', import.meta.url)), 'utf8');

const group = openServerGroup();
let stores: Stores;
let served: Served;
let app: Server;
let front: number;
let redis: { stop(): Promise<void>; start(): Promise<void> };

beforeAll(async () => {
  // What is written survives the stop, so that the same tokens hold after it.
  const started = await startRedis({ config: ['appendonly yes', 'appendfsync always'] }, group);
  redis = {
    stop: started.stop,
    start: async () => {
      const again = await group.launch({
        name: 'redis',
        program: 'redis-server',
        args: [join(group.folder, 'redis', 'redis.conf')],
      });
      redis.stop = again.stop;
    },
  };
  stores = await openStores('MariaDB and a Redis Cluster', {
    JWTCTL_REDIS_NODES: started.node,
    JWTCTL_REDIS_MODE: 'standalone',
    JWTCTL_TIMEOUT: '1s',
    JWTCTL_SERVE_COOKIE: 'session',
  });
  await stores.json('keys', 'generate');
  await stores.json('users', 'add', 'alice');
  served = await startServed(stores.env, '--workers', '2');
  app = await startApp();
  const nginx = await startNginx((port) => sampleFor(port), group);
  front = nginx.port;
});
afterAll(async () => {
  await served?.kill();
  app?.close();
  await group.stop();
  await stores?.close();
});

/** The sample, for the ports of this run. */
function sampleFor(port: number): string {
  const ports: Array<[string, string]> = [
    ['127.0.0.1:8787', `127.0.0.1:${served.port}`],
    ['127.0.0.1:3000', `127.0.0.1:${(app.address() as AddressInfo).port}`],
    ['listen 80', `listen 127.0.0.1:${port}`],
  ];
  return ports.reduce((text, [from, to]) => {
    expect(text).toContain(from);
    return text.replaceAll(from, to);
  }, SAMPLE);
}

/** Says who it was told is asking. */
async function startApp(): Promise<Server> {
  const server = createServer((req, res) => {
    req.resume();
    const { 'x-auth-subject': sub, 'x-auth-jti': jti } = req.headers;
    res.end(JSON.stringify({ method: req.method, url: req.url, sub, jti }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const issue = (...flags: string[]) => stores.json('token', 'issue', '--sub', 'alice', ...flags);
const told = ({ status, headers, body }: Answered) => ({
  status,
  challenge: headers['www-authenticate'],
  body: JSON.parse(body),
});

test('nginx lets a token pass that holds, and says who it is, whatever the client says', async () => {
  const { token, jti } = await issue();
  for (const headers of [
    { ...bearer(token), 'x-auth-subject': 'mallory' },
    { cookie: `session=${token}`, 'content-type': 'nonsense' },
  ]) {
    const { status, body } = await get(front, '/orders?id=1', headers);
    expect({ status, body: JSON.parse(body) }).toEqual({
      status: 200,
      body: { method: 'GET', url: '/orders?id=1', sub: 'alice', jti },
    });
  }
  const posted = await fetch(`http://127.0.0.1:${front}/orders`, {
    method: 'POST',
    body: 'x'.repeat(200_000),
    headers: bearer(token),
  });
  expect(await posted.json()).toEqual({ method: 'POST', url: '/orders', sub: 'alice', jti });
});

test('nginx refuses with the right phrase, and with the challenge', async () => {
  const revoked = (await issue()).token;
  await stores.json('token', 'revoke', revoked);
  const expired = (await issue('--ttl', '1')).token;
  await vi.waitFor(
    async () => expect(told(await get(front, '/', bearer(expired)))).toEqual(refused('Token Expired')),
    { timeout: 15_000, interval: 200 },
  );
  expect(told(await get(front, '/', bearer(revoked)))).toEqual(refused('Authorization Failure'));
  expect(told(await get(front, '/', bearer('x')))).toEqual(refused('Invalid Token'));
  expect(told(await get(front, '/'))).toEqual({
    status: 401,
    challenge: 'Bearer realm="jwtctl"',
    body: { error: 'Invalid Token' },
  });
  const both = await get(front, '/', { ...bearer(revoked), cookie: `session=${revoked}` });
  expect({ status: both.status, body: both.body }).toEqual({
    status: 400,
    body: '{"error":"Invalid Request"}',
  });
});

function refused(phrase: string) {
  return {
    status: 401,
    challenge: `Bearer realm="jwtctl", error="invalid_token", error_description="${phrase}"`,
    body: { error: phrase },
  };
}

test('while Redis is stopped nginx answers 503, and lets the same token pass after it, without a restart', async () => {
  const { token } = await issue();
  expect((await get(front, '/', bearer(token))).status).toBe(200);

  await redis.stop();
  for (let times = 0; times < 3; times++) {
    const { status, headers, body } = await get(front, '/', bearer(token));
    expect({ status, retry: headers['retry-after'], body }).toEqual({
      status: 503,
      retry: '1',
      body: '{"error":"Service Unavailable"}',
    });
  }
  expect(served.lines().some(({ level, status }) => level === 'error' && status === 503)).toBe(true);
  // What needs no store is refused all the same.
  expect((await get(front, '/', bearer('x'))).status).toBe(401);

  await redis.start();
  await vi.waitFor(async () => expect((await get(front, '/', bearer(token))).status).toBe(200), {
    timeout: 20_000,
    interval: 200,
  });
  expect(JSON.stringify(served.lines())).not.toContain(token.slice(-20));
});

test('while jwtctl itself is away nginx lets nobody pass', async () => {
  const { token } = await issue();
  await served.kill();
  const { status, headers } = await get(front, '/', bearer(token));
  expect([status, headers['retry-after']]).toEqual([503, '1']);
});
