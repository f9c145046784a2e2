import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Answered, get, type Served, startServed } from '../support/served.js';
import { openServerGroup, startNginx, startRedis } from '../support/servers.js';
import { bearer } from '../support/serving.js';
import { openStores, type Stores } from '../support/stores.js';

const SAMPLE = readFileSync(fileURLToPath(new URL('../../docs/proxies/nginx.conf', import.meta.url)), 'utf8');

const TOLD = ['X_AUTH_JTI', 'X_AUTH_SUBJECT'];

const group = openServerGroup();
let stores: Stores;
let served: Served;
let second: Served;
let app: Server;
let front: number;
let redis: { stop(): Promise<void>; start(): Promise<void> };

beforeAll(async () => {
  // Redis keeps its data across the stop, so the same tokens are valid afterwards.
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
    JWTCTL_SERVE_HEADERS: '{"X-User-Role":"role"}',
    JWTCTL_SERVE_POLICIES: '{"orders":{"scope":"orders:read"}}',
  });
  await stores.json('keys', 'generate');
  await stores.json('users', 'add', 'alice');
  served = await startServed(stores.env, '--workers', '2');
  second = await startServed(stores.env);
  app = await startApp();
  const nginx = await startNginx((port) => sampleFor(port), group);
  front = nginx.port;
});
afterAll(async () => {
  await served?.kill();
  await second?.kill();
  app?.close();
  await group.stop();
  await stores?.close();
});

/** The sample configuration with the ports of this run. With `instances`, uses two different ones. */
function sampleFor(port: number, instances: [Served, Served] = [served, served]): string {
  const [first, other] = instances;
  const ports: Array<[string, string]> = [
    ['server 127.0.0.1:8787 max_fails=0;', `server 127.0.0.1:${first.port} max_fails=0;`],
    ['127.0.0.1:3000', `127.0.0.1:${(app.address() as AddressInfo).port}`],
    ['listen 80', `listen 127.0.0.1:${port}`],
  ];
  const text = ports.reduce((sample, [from, to]) => {
    expect(sample).toContain(from);
    return sample.replaceAll(from, to);
  }, SAMPLE);
  const place = text.lastIndexOf(`127.0.0.1:${first.port} `);
  const address = `127.0.0.1:${first.port}`;
  return `${text.slice(0, place)}127.0.0.1:${other.port}${text.slice(place + address.length)}`;
}

/** Responds with the subject that it received. */
async function startApp(): Promise<Server> {
  const server = createServer((req, res) => {
    req.resume();
    const { 'x-auth-subject': sub, 'x-auth-jti': jti, 'x-user-role': role } = req.headers;
    // Header names as WSGI and CGI (RFC 3875 §4.1.18) see them.
    const variables = Object.keys(req.headers).map((name) => name.toUpperCase().replaceAll('-', '_'));
    const told = variables.filter((name) => /^X.(AUTH|USER)/.test(name)).sort();
    res.end(JSON.stringify({ method: req.method, url: req.url, sub, jti, role, told }));
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

test('nginx accepts a valid token and sets the subject, whatever headers the client sends', async () => {
  const { token, jti } = await issue();
  for (const headers of [
    { ...bearer(token), 'x-auth-subject': 'mallory' },
    // To a WSGI or CGI back end, all of these are the same header.
    ...['X_Auth_Subject', 'X-Auth_Subject', 'x_auth-subject', 'X.Auth.Subject', 'X_AUTH_JTI'].map((name) => ({
      ...bearer(token),
      [name]: 'mallory',
    })),
    { cookie: `session=${token}`, 'content-type': 'nonsense' },
  ]) {
    const { status, body } = await get(front, '/orders?id=1', headers);
    expect({ status, body: JSON.parse(body) }).toEqual({
      status: 200,
      body: { method: 'GET', url: '/orders?id=1', sub: 'alice', jti, told: TOLD },
    });
  }
  const posted = await fetch(`http://127.0.0.1:${front}/orders`, {
    method: 'POST',
    body: 'x'.repeat(200_000),
    headers: bearer(token),
  });
  expect(await posted.json()).toEqual({ method: 'POST', url: '/orders', sub: 'alice', jti, told: TOLD });
});

test('nginx passes a claim on, and removes what the client sends under its name', async () => {
  const forged = ['X-User-Role', 'X_User_Role', 'X-User_Role', 'X.User.Role'];
  const ask = async (token: string) => {
    const headers = { ...bearer(token), ...Object.fromEntries(forged.map((name) => [name, 'root'])) };
    const { role, told } = JSON.parse((await get(front, '/', headers)).body);
    return { role, told };
  };
  expect(await ask((await issue('--claim', 'role=chef café')).token)).toEqual({
    ...{ role: 'chef%20caf%C3%A9', told: [...TOLD, 'X_USER_ROLE'] },
  });
  expect(await ask((await issue()).token)).toEqual({ role: undefined, told: TOLD });
});

test('nginx asks for no token at the login, and passes no user on there', async () => {
  const forged = ['X-Auth-Subject', 'X-Auth-Jti', 'X-User-Role', 'X_Auth_Subject'];
  const headers = Object.fromEntries(forged.map((name) => [name, 'mallory']));
  const { status, body } = await get(front, '/login', headers);
  expect({ status, body: JSON.parse(body) }).toEqual({
    status: 200,
    body: { method: 'GET', url: '/login', told: [] },
  });
});

test('nginx holds a location to a policy', async () => {
  const orders = await startNginx((port) => {
    const asked = 'http://jwtctl/verify;';
    expect(SAMPLE).toContain(asked);
    return sampleFor(port).replace(asked, 'http://jwtctl/verify/@orders;');
  }, group);
  const granted = (await issue('--claim', 'scope=orders:read')).token;
  expect((await get(orders.port, '/', bearer(granted))).status).toBe(200);
  expect(told(await get(orders.port, '/', bearer((await issue()).token)))).toEqual({
    status: 403,
    challenge: 'Bearer realm="jwtctl", error="insufficient_scope", scope="orders:read"',
    body: { error: 'Forbidden' },
  });
  expect((await get(orders.port, '/')).status).toBe(401);

  const unknown = await startNginx(
    (port) => sampleFor(port).replace('http://jwtctl/verify;', 'http://jwtctl/verify/@order;'),
    group,
  );
  expect((await get(unknown.port, '/', bearer(granted))).status).toBe(500);
});

test('nginx refuses with the right phrase and the challenge', async () => {
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
    body: { error: 'No Token' },
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

/** Sends requests from several clients during `work` and until `least` are answered. Returns the counts by status. */
async function answersWhile(
  port: number,
  headers: Record<string, string>,
  work: () => Promise<unknown>,
  { clients = 4, least = 100 } = {},
): Promise<Record<number | string, number>> {
  const answers: Record<number | string, number> = {};
  let isOver = false;
  let count = 0;
  const drive = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!isOver || count < least) {
      const outcome = await get(port, '/', headers, agent).then(({ status }) => status, String);
      answers[outcome] = (answers[outcome] ?? 0) + 1;
      count += 1;
    }
    agent.destroy();
  };
  const driving = Promise.all(Array.from({ length: clients }, drive));
  try {
    await work();
  } finally {
    isOver = true;
    await driving;
  }
  return answers;
}

test('a rolling restart of two instances loses no request', async () => {
  const { token } = await issue();
  const nginx = await startNginx((port) => sampleFor(port, [served, second]), group);
  const restarted = async (instance: Served, ...flags: string[]) => {
    instance.signal('SIGTERM');
    expect(await instance.ended).toEqual({ exitCode: 0, signal: null });
    return startServed({ ...stores.env, JWTCTL_SERVE_PORT: String(instance.port) }, ...flags);
  };
  const answers = await answersWhile(nginx.port, bearer(token), async () => {
    for (let round = 0; round < 2; round++) {
      served = await restarted(served, '--workers', '2');
      second = await restarted(second);
    }
  });
  await nginx.stop();
  expect(Object.keys(answers)).toEqual(['200']);
}, 120_000);

test('killing a worker loses no request', async () => {
  const { token } = await issue();
  const listening = () => served.lines().filter(({ msg }) => msg === 'listening');
  const answers = await answersWhile(front, bearer(token), async () => {
    for (let kills = 0; kills < 4; kills++) {
      const before = listening();
      process.kill(before.at(-1).pid, 'SIGKILL');
      await served.logged('listening', before.length + 1);
    }
  });
  expect(Object.keys(answers)).toEqual(['200']);
}, 60_000);

test('made-up kids at 400 per second take no connections from other clients', async () => {
  const { token } = await issue();
  const [, payload, signature] = token.split('.');
  const header = (kid: string) => Buffer.from(JSON.stringify({ alg: 'RS256', kid })).toString('base64url');
  const answers = new Set<number | string>();
  let waiting = 0;
  const send = async (kid: string) => {
    waiting += 1;
    const forged = bearer(`${header(kid)}.${payload}.${signature}`);
    answers.add(await get(front, '/', forged).then(({ status }) => status, String));
    waiting -= 1;
  };
  const flood = async () => {
    for (let tick = 0; tick < 60; tick++) {
      // On a slow host, nginx would run out of connections anyway.
      for (let count = 0; count < 20 && waiting < 200; count++) void send(`invented-${tick}-${count}`);
      // Paces the load; does not wait for any event.
      await delay(50);
    }
    await vi.waitFor(() => expect(waiting).toBe(0), { timeout: 30_000, interval: 50 });
  };
  expect(Object.keys(await answersWhile(front, bearer(token), flood))).toEqual(['200']);
  // Requests that waited for the keys are refused; the others get 503 at once.
  expect([...answers].sort()).toEqual([401, 503]);
}, 60_000);

test('nginx answers 503 while Redis is stopped, and accepts the same token afterwards without a restart', async () => {
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
  // Refusals that need no store continue.
  expect((await get(front, '/', bearer('x'))).status).toBe(401);

  await redis.start();
  await vi.waitFor(async () => expect((await get(front, '/', bearer(token))).status).toBe(200), {
    timeout: 20_000,
    interval: 200,
  });
  expect(JSON.stringify(served.lines())).not.toContain(token.slice(-20));
});

test('nginx refuses every request while jwtctl is stopped', async () => {
  const { token } = await issue();
  await served.kill();
  const { status, headers } = await get(front, '/', bearer(token));
  expect([status, headers['retry-after']]).toEqual([503, '1']);
});
