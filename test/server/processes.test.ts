import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Answered, get, type Served, startServed, startTraffic } from '../support/served.js';
import { bearer } from '../support/serving.js';
import { closedPorts } from '../support/silent-server.js';
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

  test('the age of the active key is NaN without one, also with workers', async () => {
    const empty = await openStores(backend);
    try {
      await empty.json('keys', 'generate', '--kid', 'only');
      await empty.query("UPDATE keystore SET state = 'compromised'");
      for (const flags of [[], ['--workers', '2']]) {
        const served = await startServed(empty.env, ...flags);
        running.push(served);
        const metrics = await get(served.port, '/metrics');
        expect(lineOf(metrics, 'jwtctl_active_key_age_seconds')).toBeNaN();
        expect(lineOf(metrics, 'jwtctl_keys_trusted')).toBe(0);
        expect(metrics.body).toMatch(/^jwtctl_active_key_age_seconds (NaN|Nan)$/m);
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

  test('introspection reads its secret from a file, and a client without a secret is refused', async () => {
    const incomplete = await spawnCli(['serve', '--json'], {
      env: { ...stores.env, JWTCTL_SERVE_INTROSPECTION_CLIENT_ID: 'api' },
    });
    expect([incomplete.exitCode, incomplete.error().code]).toEqual([2, 'ERR_CONFIG_INCOMPLETE']);

    const file = join(stores.home, 'introspection.secret');
    writeFileSync(file, `${'s3cret'.repeat(5)}x\n`, { mode: 0o600 });
    const env = {
      ...stores.env,
      JWTCTL_SERVE_INTROSPECTION_CLIENT_ID: 'api',
      JWTCTL_SERVE_INTROSPECTION_SECRET_FILE: file,
    };
    const { JWTCTL_SERVE_INTROSPECTION_SECRET_FILE: _, ...withoutFile } = env;
    const tooShort = [
      await spawnCli(['serve', '--json'], { env }),
      await spawnCli(['config', 'validate', '--json'], { env }),
      await spawnCli(['serve', '--json'], {
        env: { ...withoutFile, JWTCTL_SERVE_INTROSPECTION_SECRET: 's3cret'.repeat(5) },
      }),
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
    const authorization = `Basic ${Buffer.from(`api:${secret}`).toString('base64')}`;
    const url = `http://127.0.0.1:${served.port}/introspect`;
    const response = await fetch(url, { method: 'POST', body, headers: { authorization } });
    expect(await response.json()).toMatchObject({ active: true, sub: 'alice' });
    expect(JSON.stringify(served.lines())).not.toContain('s3cret-of-api');
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
