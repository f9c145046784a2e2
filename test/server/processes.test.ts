import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { makeCertificateAuthority } from '../support/certificates.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { type Answered, get, type Served, startServed, startTraffic } from '../support/served.js';
import { basic, bearer } from '../support/serving.js';
import { spawnCli } from '../support/spawned.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

describe.each(BACKENDS)('serve on %s', (backend) => {
  let stores: Stores;
  let token: string;
  const running: Served[] = [];

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
    token = (await stores.json('token', 'issue', '--sub', 'alice')).token;
  });
  afterEach(async () => {
    for (const served of running.splice(0)) await served.kill();
  });
  afterAll(() => stores?.close());

  async function start(...flags: string[]) {
    const served = await startServed(stores.env, ...flags);
    running.push(served);
    return served;
  }

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: not ready at once, no request lost, and exit code 0',
    async (signal) => {
      const served = await start();
      const { port } = served;
      const kept = new Agent({ keepAlive: true, maxSockets: 1 });
      expect((await get(port, '/verify', bearer(token), kept)).status).toBe(200);
      const traffic = startTraffic(port, 8, () => bearer(token));
      await vi.waitFor(() => expect(traffic.answers.get(200)).toBeGreaterThan(50));
      const halfway = await beginRequest(port);

      served.signal(signal);
      await served.logged('stopping');
      expect(await readiness(port)).toEqual([503, false]);
      const late = await get(port, '/verify', bearer(token), kept);
      expect([late.status, late.headers.connection]).toEqual([200, 'close']);
      expect((await get(port, '/verify', bearer(token))).status).toBe(200);
      await traffic.done;
      expect(traffic.failures).toEqual([]);
      expect([...traffic.answers.keys()]).toEqual([200]);

      await portIsClosed(port);
      expect(await halfway.finish(token)).toMatch(/^HTTP\/1\.1 200 .*connection: close/is);
      expect(await served.ended).toEqual({ exitCode: 0, signal: null });
    },
  );

  test('workers share the port, count together, are replaced, and stop together', async () => {
    const served = await start('--workers', '2');
    await served.logged('listening', 2);
    const { port } = served;
    const asked = await Promise.all(Array.from({ length: 20 }, () => get(port, '/verify', bearer(token))));
    expect(asked.every(({ status }) => status === 200)).toBe(true);
    for (let times = 0; times < 4; times++) {
      expect(lineOf(await get(port, '/metrics'), 'jwtctl_verifications_total{code="active"}')).toBe(20);
    }
    expect(lineOf(await get(port, '/metrics'), 'jwtctl_ready')).toBe(1);

    const [victim] = pidsOf(served);
    process.kill(Number(victim), 'SIGKILL');
    await served.logged('listening', 3);
    expect(served.lines()).toContainEqual(
      expect.objectContaining({ level: 'error', worker: victim, signal: 'SIGKILL' }),
    );
    const again = await Promise.all(Array.from({ length: 20 }, () => get(port, '/verify', bearer(token))));
    expect(again.every(({ status }) => status === 200)).toBe(true);
    // Includes ended and silent workers, because a counter never decreases.
    const active = 'jwtctl_verifications_total{code="active"}';
    expect(lineOf(await get(port, '/metrics'), active)).toBe(40);
    const silent = Number(pidsOf(served).at(-1));
    process.kill(silent, 'SIGSTOP');
    // The silent worker gets one of two requests, and answers it when it continues.
    const asking = [get(port, '/metrics'), get(port, '/metrics')];
    expect(lineOf(await Promise.any(asking), active)).toBe(40);
    process.kill(silent, 'SIGCONT');
    await Promise.all(asking);

    const traffic = startTraffic(port, 8, () => bearer(token));
    await vi.waitFor(() => expect(traffic.answers.get(200)).toBeGreaterThan(50));
    served.signal('SIGTERM');
    await traffic.done;
    expect([traffic.failures, [...traffic.answers.keys()]]).toEqual([[], [200]]);
    expect(await served.ended).toEqual({ exitCode: 0, signal: null });
    expect(pidsOf(served).filter(isAlive)).toEqual([]);
  });

  test('the activation of the active key is NaN without one, also with workers', async () => {
    const empty = await openStores(backend);
    try {
      await empty.json('keys', 'generate', '--kid', 'only');
      await empty.query("UPDATE keystore SET state = 'compromised'");
      for (const flags of [[], ['--workers', '2']]) {
        const served = await startServed(empty.env, ...flags);
        running.push(served);
        const metrics = await get(served.port, '/metrics');
        expect(lineOf(metrics, 'jwtctl_active_key_activated_timestamp_seconds')).toBeNaN();
        expect(lineOf(metrics, 'jwtctl_keys_trusted')).toBe(0);
        expect(metrics.body).toMatch(/^jwtctl_active_key_activated_timestamp_seconds (NaN|Nan)$/m);
      }
    } finally {
      await empty.close();
    }
  });

  test('workers end with their supervisor', async () => {
    const served = await start('--workers', '2');
    await served.logged('listening', 2);
    await served.kill();
    await vi.waitFor(() => expect(pidsOf(served).filter(isAlive)).toEqual([]), { timeout: 10_000 });
  });

  test.each([[[]], [['--workers', '2']]])('exits without a retry if it cannot start: %o', async (flags) => {
    const served = await start();
    const taken = await spawnCli(['serve', '--port', String(served.port), '--json', ...flags], {
      env: stores.env,
    });
    expect(taken.exitCode).toBe(3);
    expect(taken.error().code).toBe('ERR_PORT_IN_USE');
    const foreign = await spawnCli(['serve', '--host', '192.0.2.1', '--json', ...flags], {
      env: stores.env,
    });
    expect([foreign.exitCode, foreign.error().code]).toEqual([2, 'ERR_CANNOT_LISTEN']);

    const [mysql, redis] = await closedPorts(2);
    const env = {
      JWTCTL_MYSQL_URL: `mysql://u@127.0.0.1:${mysql}/db`,
      JWTCTL_REDIS_NODES: `127.0.0.1:${redis}`,
    };
    expect((await spawnCli(['serve', '--port', '0', ...flags], { env })).exitCode).toBe(4);
  });

  test('a client reads its secret from a file, which is read again when it changes', async () => {
    const file = join(stores.home, 'introspection.secret');
    writeFileSync(file, `${'s3cret'.repeat(5)}x\n`, { mode: 0o600 });
    const clients = [{ id: 'api', secretFile: file, may: ['introspect'] }];
    const env = { ...stores.env, JWTCTL_SERVE_CLIENTS: JSON.stringify(clients) };
    const tooShort = [
      await spawnCli(['serve', '--json'], { env }),
      await spawnCli(['serve', '--json', '--workers', '2'], { env }),
      await spawnCli(['config', 'validate', '--json'], { env }),
    ];
    for (const { exitCode, stdout, stderr } of tooShort) {
      expect(exitCode).toBe(2);
      expect(stdout + stderr).toContain('32 characters');
      expect(stdout + stderr).not.toContain('s3crets3cret');
    }

    const secret = `s3cret-of-api-${'x'.repeat(18)}`;
    writeFileSync(file, `${secret}\n`);
    const served = await startServed(env);
    running.push(served);
    const body = new URLSearchParams({ token });
    const url = `http://127.0.0.1:${served.port}/introspect`;
    const ask = (given: string) =>
      fetch(url, { method: 'POST', body, headers: basic({ id: 'api', secret: given }) });
    expect(await (await ask(secret)).json()).toMatchObject({ active: true, sub: 'alice' });

    const changed = `s3cret-of-api-${'y'.repeat(18)}`;
    writeFileSync(file, `${changed}\n`);
    await expect.poll(async () => (await ask(changed)).status, { timeout: 5000 }).toBe(200);
    expect((await ask(secret)).status).toBe(401);
    writeFileSync(file, 'short\n');
    await expect.poll(async () => (await ask(changed)).status, { timeout: 5000 }).toBe(503);
    await expect.poll(() => JSON.stringify(served.lines())).toContain('too short');
    expect(JSON.stringify(served.lines())).not.toContain('s3cret-of-api');
  });

  test('serves HTTPS, and loads a changed certificate without a restart', async () => {
    const authority = makeCertificateAuthority('test');
    const [cert, key] = [join(stores.home, 'tls.pem'), join(stores.home, 'tls.key')];
    const install = () => {
      const issued = authority.issue({ names: 'IP:127.0.0.1' });
      for (const [from, to] of [
        [issued.cert, cert],
        [issued.key, key],
      ] as const) {
        writeFileSync(to, readFileSync(from), { mode: 0o600 });
      }
    };
    install();
    const served = await startServed({
      ...stores.env,
      ...{ JWTCTL_SERVE_TLS_CERT: cert, JWTCTL_SERVE_TLS_KEY: key },
    });
    running.push(served);
    const ask = () =>
      new Promise<{ status: number | undefined; fingerprint: string }>((resolve, reject) => {
        const options = {
          host: '127.0.0.1',
          port: served.port,
          path: '/verify',
          ca: readFileSync(authority.file),
        };
        const asked = request({ ...options, headers: bearer(token), agent: false }, (response) => {
          const { fingerprint256: fingerprint } = (response.socket as TLSSocket).getPeerCertificate();
          response.resume();
          resolve({ status: response.statusCode, fingerprint });
        });
        asked.on('error', reject).end();
      });
    const before = await ask();
    expect(before.status).toBe(200);
    install();
    await expect
      .poll(async () => (await ask()).fingerprint, { timeout: 15_000 })
      .not.toBe(before.fingerprint);
    writeFileSync(cert, 'broken');
    await served.logged('The old TLS certificate stays in use');
    expect((await ask()).status).toBe(200);
  });
});

test('logs a registry that is unavailable at the start', async () => {
  const stores = await openStores('MariaDB and a Redis Cluster');
  await stores.json('keys', 'generate');
  const [port] = await closedPorts(1);
  const served = await startServed({ ...stores.env, JWTCTL_REDIS_NODES: `127.0.0.1:${port}` });
  try {
    await served.logged('not ready');
    expect(served.lines().find(({ msg }) => msg.startsWith('not ready'))).toMatchObject({
      ...{ level: 'warn', database: 'up', registry: 'down' },
    });
    expect(await readiness(served.port)).toEqual([503, false]);
  } finally {
    await served.kill();
    await stores.close();
  }
});

async function readiness(port: number): Promise<[number, boolean]> {
  const { status, body } = await get(port, '/readyz');
  return [status, JSON.parse(body).ready];
}

/** Sends half of a request. */
async function beginRequest(port: number) {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write('GET /verify HTTP/1.1\r\nHost: x\r\n');
  let said = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  return {
    finish: async (token: string) => {
      socket.write(`Authorization: Bearer ${token}\r\n\r\n`);
      await once(socket, 'close');
      return said;
    },
  };
}

async function portIsClosed(port: number): Promise<void> {
  await vi.waitFor(() => expect(get(port, '/healthz')).rejects.toMatchObject({ code: 'ECONNREFUSED' }), {
    timeout: 10_000,
    interval: 50,
  });
}

function pidsOf(served: Served): number[] {
  return served.lines().flatMap(({ msg, pid }) => (msg === 'listening' ? [pid] : []));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function lineOf({ body }: Answered, name: string): number {
  const line = body.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}
