import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { LOAD_SECONDS } from '../support/repetitions.js';
import { get, type Served, startServed, startTraffic } from '../support/served.js';
import { basic, bearer, CLIENT } from '../support/serving.js';
import { CLIENTS } from '../support/sessions-over-http.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const MIB = 1_048_576;

describe.each(BACKENDS)('serve under load on %s', (backend) => {
  let stores: Stores;
  let served: Served;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
    served = await startServed({ ...stores.env, ...CLIENTS });
  });
  afterAll(async () => {
    await served?.kill();
    await stores?.close();
  });

  test('memory stays flat under valid, hostile, and broken requests, and no socket leaks', {
    timeout: (LOAD_SECONDS + 60) * 1000,
  }, async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'alice');
    const { port } = served;
    const hostile = hostileTokens();
    let turn = 0;
    const good = startTraffic(port, 8, () => bearer(token));
    const bad = startTraffic(port, 8, () => bearer(hostile[turn++ % hostile.length] as string));
    const attacker = startTraffic(port, 2, () => bearer(forged({ kid: `invented-${turn++}` })));
    const breaking = breakOff(port);
    const bodies = sendBodies(port);

    // The first half warms up. Compiled code, pools, and caches are not leaks.
    const rounds = [0, 0];
    for (const half of [0, 1]) {
      const until = performance.now() + (LOAD_SECONDS / 2) * 1000;
      while (performance.now() < until) {
        rounds[half] = Math.max(rounds[half] as number, await memoryOf(port));
        await delay(100);
      }
    }
    for (const traffic of [good, bad, attacker]) traffic.stop();
    for (const one of [breaking, bodies]) one.stop();
    await Promise.all([good.done, bad.done, attacker.done, breaking.done, bodies.done]);

    expect([good.failures, bad.failures, attacker.failures]).toEqual([[], [], []]);
    expect([...good.answers.keys()]).toEqual([200]);
    expect([...bad.answers.keys()]).toEqual([401]);
    expect([...attacker.answers.keys()]).toEqual([401]);
    expect([...bodies.statuses].sort()).toEqual([400, 413, 422]);
    const [first, second] = rounds as [number, number];
    expect(second - first).toBeLessThan(24 * MIB);
    await vi.waitFor(() => expect(socketsOf(port)).toBe(0), { timeout: 15_000, interval: 100 });

    const last = startTraffic(port, 8, () => bearer(token));
    await vi.waitFor(() => expect(last.answers.get(200)).toBeGreaterThan(50), { timeout: 10_000 });
    served.signal('SIGTERM');
    await last.done;
    expect([last.failures, [...last.answers.keys()]]).toEqual([[], [200]]);
    expect(await served.ended).toEqual({ exitCode: 0, signal: null });
  });
});

/** Resident memory, in bytes. */
async function memoryOf(port: number): Promise<number> {
  const { body } = await get(port, '/metrics');
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(body)?.[1]);
}

/** The server's connections in the kernel's list. A released connection has no inode. */
function socketsOf(port: number): number {
  const lines = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1);
  const own = lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local]) => local?.endsWith(hexOf(port)));
  return own.filter(([, , , state, , , , , , inode]) => state !== LISTENING && inode !== '0').length;
}

const LISTENING = '0A';

function hexOf(port: number): string {
  return `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}

function hostileTokens(): string[] {
  const nested = `${'{"a":'.repeat(1_500)}1${'}'.repeat(1_500)}`;
  return [
    'x',
    '..',
    'a'.repeat(12_000),
    `${'a.'.repeat(5_000)}a`,
    forged({}, nested),
    `${Buffer.from(nested).toString('base64url').slice(0, 12_000)}.e30.AAAA`,
    forged({ alg: 'none' }),
    forged({ crit: ['x'] }),
  ];
}

function forged(header: object, payload = '{}'): string {
  const parts = [JSON.stringify({ alg: 'RS256', kid: '-', ...header }), payload];
  return [...parts.map((part) => Buffer.from(part).toString('base64url')), 'AAAA'].join('.');
}

/** Disconnects during a request, or during its response. */
function breakOff(port: number): { stop(): void; done: Promise<void> } {
  let isStopped = false;
  const drive = async () => {
    for (let times = 0; !isStopped; times++) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      await once(socket, 'connect');
      const whole = 'POST /verify HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n';
      socket.write(whole.slice(0, 10 + (times % whole.length)));
      await delay(5);
      socket.destroy();
    }
  };
  return {
    stop: () => {
      isStopped = true;
    },
    done: drive(),
  };
}

/** Sends bodies to the API that it cannot use: huge, deeply nested, cut off, or with many members. */
function sendBodies(port: number): { statuses: ReadonlySet<number>; stop(): void; done: Promise<void> } {
  const statuses = new Set<number>();
  let isStopped = false;
  const json = { ...basic(CLIENT), connection: 'close', 'content-type': 'application/json' };
  const form = { ...basic(CLIENT), connection: 'close', 'content-type': 'application/x-www-form-urlencoded' };
  const members = Array.from({ length: 4_000 }, (_, index) => `"m${index}":1`).join();
  const requests = [
    ...['/v1/tokens', '/v1/users/alice'].flatMap((path) =>
      ['{"sub":', `${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`, `{${members}}`, 'x'.repeat(200_000)].map(
        (body) => ({ path, method: path === '/v1/tokens' ? 'POST' : 'PUT', headers: json, body }),
      ),
    ),
    ...['/token', '/revoke', '/introspect'].flatMap((path) =>
      ['', 'token=x&token=y&grant_type=x', 'a=b&'.repeat(9_000), `token=${'x'.repeat(200_000)}`].map(
        (body) => ({
          ...{ path, method: 'POST', headers: form, body },
        }),
      ),
    ),
  ];
  const drive = async () => {
    for (let times = 0; !isStopped; times++) {
      const { path, ...options } = requests[times % requests.length] as (typeof requests)[number];
      // The server may close the connection before it has read all of a body that is too large.
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, options).catch(() => null);
      if (answer === null) continue;
      statuses.add(answer.status);
      await answer.text();
    }
  };
  return {
    statuses,
    stop: () => {
      isStopped = true;
    },
    done: Promise.all([drive(), drive()]).then(() => {}),
  };
}
