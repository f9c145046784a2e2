import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { type FailingCluster, startFailingCluster } from '../support/failing-over.js';
import { get, type Served, startServed } from '../support/served.js';
import { basic, bearer, CLIENT } from '../support/serving.js';
import { CLIENTS, logIn, refresh, refusedAfter, retried } from '../support/sessions-over-http.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const TIMES = 20;
const WITHIN_MS = 2_000;
const CLUSTER = 'MariaDB and a Redis Cluster';

const opened: Array<() => Promise<void>> = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function open(backend: (typeof BACKENDS)[number], env: Record<string, string> = {}): Promise<Stores> {
  const stores = await openStores(backend, { ...CLIENTS, ...env });
  opened.push(() => stores.close());
  await stores.json('keys', 'generate');
  await stores.json('users', 'add', 'alice');
  return stores;
}

async function start({ env }: Stores, ...flags: string[]): Promise<Served> {
  const served = await startServed(env, ...flags);
  opened.push(() => served.kill());
  return served;
}

/** Ends a session by using a refresh token again. Returns its access tokens, and the last refresh token. */
async function reuse(served: Served) {
  const first = await logIn(served);
  const second = (await retried(() => refresh(served, first.refreshToken))).body;
  const third = (await retried(() => refresh(served, second.refresh_token))).body;
  const reused = await retried(() => refresh(served, first.refreshToken));
  expect([reused.status, reused.body.error]).toEqual([400, 'invalid_grant']);
  return { tokens: [first.token, second.access_token, third.access_token], last: third.refresh_token };
}

describe.each(BACKENDS)('reuse of a refresh token on %s', (backend) => {
  test(`ends the session for all verifiers within two seconds, ${TIMES} times`, async () => {
    const stores = await open(backend, { JWTCTL_VERIFIER_NEAR_CACHE: 'true' });
    const servers = [await start(stores, '--workers', '2'), await start(stores)];
    const [served] = servers as [Served];
    const seen: number[] = [];
    for (let times = 0; times < TIMES; times++) {
      const { tokens, last } = await reuse(served);
      seen.push(await refusedAfter(servers, tokens));
      expect((await refresh(served, last)).body.error).toBe('invalid_grant');
    }
    expect(Math.max(...seen)).toBeLessThan(WITHIN_MS);
  }, 120_000);

  test('a server that stops under load loses no refresh that it answered', async () => {
    const stores = await open(backend);
    const served = await start(stores, '--workers', '2');
    const sessions = await Promise.all(Array.from({ length: 8 }, () => logIn(served)));
    const answered = sessions.map(({ token, refreshToken }) => ({ token, refreshToken, count: 0 }));
    const statuses = new Set<number>();
    const driving = Promise.all(
      answered.map(async (session) => {
        for (;;) {
          const answer = await refresh(served, session.refreshToken).catch(() => null);
          if (answer === null) return;
          statuses.add(answer.status);
          if (answer.status !== 200) continue;
          session.token = answer.body.access_token;
          session.refreshToken = answer.body.refresh_token;
          session.count += 1;
          if (session.count === 10) served.signal('SIGTERM');
        }
      }),
    );
    await driving;
    expect(await served.ended).toEqual({ exitCode: 0, signal: null });
    expect([...statuses]).toEqual([200]);
    const next = await start(stores);
    for (const { token, refreshToken } of answered) {
      expect((await get(next.port, '/verify', bearer(token))).status).toBe(200);
      expect((await refresh(next, refreshToken)).status).toBe(200);
    }
  }, 60_000);
});

describe('POST /token on a cluster that fails over', () => {
  async function openFailing(): Promise<{ cluster: FailingCluster; stores: Stores; served: Served }> {
    const cluster = await startFailingCluster();
    opened.push(() => cluster.stop());
    const stores = await open(CLUSTER, { JWTCTL_REDIS_NODES: cluster.nodes.join(',') });
    return { cluster, stores, served: await start(stores, '--workers', '2') };
  }

  test(`reuse while a master is killed ends the session for all verifiers within two seconds`, async () => {
    const { cluster, stores, served } = await openFailing();
    const other = await start(stores);
    for (let round = 0; round < 3; round++) {
      const killing = cluster.failOver(round);
      const ended = await Promise.all([reuse(served), reuse(served)]);
      const tokens = ended.flatMap((one) => one.tokens);
      expect(await refusedAfter([served, other], tokens)).toBeLessThan(WITHIN_MS);
      await killing;
      for (const { last } of ended)
        expect((await retried(() => refresh(served, last))).body.error).toBe('invalid_grant');
      expect(await refusedAfter([served, other], tokens)).toBeLessThan(WITHIN_MS);
      await cluster.rejoin(round);
    }
  }, 180_000);

  test('a killed master costs no session whose refresh was answered', async () => {
    const { cluster, stores, served } = await openFailing();
    const subs = Array.from({ length: 24 }, (_, index) => `user-${index}`);
    for (const sub of subs) await stores.json('users', 'add', sub);
    const sessions = await Promise.all(subs.map((sub) => logIn(served, sub)));
    const tokens = sessions.map(({ refreshToken }) => refreshToken);
    let isOver = false;
    const statuses = new Set<number>();
    const driving = Promise.all(
      tokens.map(async (_, index) => {
        while (!isOver) {
          const answer = await refresh(served, String(tokens[index]));
          statuses.add(answer.status);
          if (answer.status === 200) tokens[index] = answer.body.refresh_token;
        }
      }),
    );
    await delay(200);
    await cluster.failOver(0);
    await delay(200);
    isOver = true;
    await driving;
    expect([...statuses].filter((status) => status !== 200 && status !== 503)).toEqual([]);
    const after = await Promise.all(tokens.map((token) => retried(() => refresh(served, token))));
    expect(after.map(({ status }) => status)).toEqual(subs.map(() => 200));
  }, 120_000);
});

test('a body that arrives byte by byte gets 408, and its connection is closed', async () => {
  const stores = await open('SQLite');
  const { port } = await start(stores);
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  const closed = new Promise((resolve) => socket.on('close', resolve).on('error', () => {}));
  const { authorization } = basic(CLIENT);
  socket.write(
    `POST /token HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n`,
  );
  const trickle = setInterval(() => socket.write('a'), 1_000);
  await closed;
  clearInterval(trickle);
  expect(text).toMatch(/^HTTP\/1\.1 408 /);
}, 30_000);
