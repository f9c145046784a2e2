import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { startFailingCluster } from '../support/failing-over.js';
import { startForwardingProxy } from '../support/proxies/forwarding-proxy.js';
import { get, type Served, startServed } from '../support/served.js';
import { basic, bearer, CLIENT } from '../support/serving.js';
import { CLIENTS, refresh } from '../support/sessions-over-http.js';
import { openStores } from '../support/stores.js';

const USERS = 12;

const opened: Array<() => Promise<unknown>> = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

interface Call {
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: object | URLSearchParams | null;
  /** Whether it ends all sessions of the user. */
  endsAll?: true;
}

interface Session {
  sub: string;
  jti: string;
  token: string;
  refreshToken: string;
  /** The request that ended it. */
  by?: string;
}

/** What the API answered to one user, who logs in, refreshes, and ends sessions in a loop. */
class UserOfApi {
  readonly issued: string[] = [];
  readonly live: Session[] = [];
  readonly ended: Session[] = [];
  readonly statuses = new Set<string>();
  readonly sub: string;
  #turn: number;
  #isStopped = false;

  constructor(sub: string, turn: number) {
    this.sub = sub;
    this.#turn = turn;
  }

  stop(): void {
    this.#isStopped = true;
  }

  async drive(served: Served): Promise<void> {
    while (!this.#isStopped) await this.#session(served).catch(() => delay(20));
  }

  async #session(served: Served): Promise<void> {
    const created = await this.#call(served, {
      method: 'POST',
      path: '/v1/tokens',
      body: { sub: this.sub, refresh: true },
    });
    if (created?.status !== 201) return;
    let session: Session = created.body;
    this.issued.push(`${session.sub} ${session.jti}`);
    const refreshed = await this.#call(served, {
      method: 'POST',
      path: '/token',
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: session.refreshToken }),
    });
    if (refreshed?.status === 200) {
      const { access_token: token, refresh_token: refreshToken } = refreshed.body;
      session = { sub: this.sub, jti: jtiOf(token), token, refreshToken };
    }
    const calls = endingsOf(session);
    const [first, ...others] = calls[this.#turn++ % calls.length] ?? [];
    // Without an answer, a request that ends all sessions may have ended them.
    const concerned = first?.endsAll === true ? [session, ...this.live.splice(0)] : [session];
    if (first === undefined) {
      this.live.push(session);
      return;
    }
    const answer = await this.#call(served, first);
    const by = `${first.method} ${first.path}`;
    if (answer !== null && answer.status < 300) this.ended.push(...concerned.map((one) => ({ ...one, by })));
    for (const call of others) await this.#untilDone(served, call);
  }

  async #untilDone(served: Served, call: Call): Promise<void> {
    while (!this.#isStopped) {
      const answer = await this.#call(served, call);
      if (answer !== null && answer.status < 300) return;
      await delay(20);
    }
  }

  /** Returns null if there was no answer. */
  async #call(served: Served, call: Call) {
    const answer = await send(served, call).catch(() => null);
    this.statuses.add(answer === null ? 'none' : `${call.method} ${answer.status}`);
    return answer;
  }
}

/** One list of calls for each way to end a session. The empty one leaves it. */
function endingsOf({ sub, jti, token }: Session): Call[][] {
  return [
    [],
    [{ method: 'POST', path: '/revoke', body: new URLSearchParams({ token }) }],
    [],
    [{ method: 'POST', path: '/logout', headers: bearer(token) }],
    [],
    [{ method: 'DELETE', path: `/v1/users/${sub}/tokens/${jti}` }],
    [{ method: 'DELETE', path: `/v1/users/${sub}/tokens?all=true`, endsAll: true }],
    [
      { method: 'DELETE', path: `/v1/users/${sub}`, endsAll: true },
      { method: 'PUT', path: `/v1/users/${sub}`, body: {} },
    ],
  ];
}

async function send({ port }: Served, { method, path, headers = basic(CLIENT), body = null }: Call) {
  const isJson = body !== null && !(body instanceof URLSearchParams);
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: isJson ? { ...headers, 'content-type': 'application/json' } : headers,
    body: isJson ? JSON.stringify(body) : body,
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
}

function jtiOf(token: string): string {
  return JSON.parse(Buffer.from(String(token.split('.')[1]), 'base64url').toString()).jti;
}

test('what the API answered stays true without MySQL, a Redis master, and after SIGTERM', async () => {
  const cluster = await startFailingCluster();
  opened.push(() => cluster.stop());
  const stores = await openStores('MariaDB and a Redis Cluster', {
    ...CLIENTS,
    JWTCTL_SERVE_LOGOUT: 'true',
    JWTCTL_REDIS_NODES: cluster.nodes.join(','),
  });
  opened.push(() => stores.close());
  await stores.json('keys', 'generate');
  const users = Array.from({ length: USERS }, (_, index) => new UserOfApi(`user-${index}`, index));
  for (const { sub } of users) await stores.json('users', 'add', sub);

  const url = new URL(String(stores.env.JWTCTL_MYSQL_URL));
  const target = { host: url.hostname, port: Number(url.port) };
  let line = await startForwardingProxy('127.0.0.1', target);
  url.port = String(line.port);
  const served = await startServed({ ...stores.env, JWTCTL_MYSQL_URL: url.href }, '--workers', '2');
  opened.push(() => served.kill());
  const driving = Promise.all(users.map((user) => user.drive(served)));
  const answered = async (count: number) => {
    const before = total(users);
    await vi.waitFor(() => expect(total(users)).toBeGreaterThan(before + count), { timeout: 30_000 });
  };

  await answered(40);
  await line.stop();
  await delay(500);
  line = await startForwardingProxy('127.0.0.1', target, Number(url.port));
  opened.push(() => line.stop());
  await answered(40);
  await cluster.failOver(0);
  await answered(40);
  served.signal('SIGTERM');
  expect(await served.ended).toEqual({ exitCode: 0, signal: null });
  for (const user of users) user.stop();
  await driving;
  const statuses = new Set(users.flatMap((user) => [...user.statuses]));
  expect([...statuses].filter((status) => !/ 20[014]$| 503$|^none$/.test(status))).toEqual([]);

  const next = await startServed(stores.env);
  opened.push(() => next.kill());
  const rows = await stores.query("SELECT target FROM audit_log WHERE action = 'token.issue'");
  const recorded = new Set(rows.map(({ target: row }) => row));
  for (const user of users) {
    expect(user.issued.filter((row) => !recorded.has(row))).toEqual([]);
    for (const { token, refreshToken, by } of user.ended) {
      expect([by, (await get(next.port, '/verify', bearer(token))).status]).toEqual([by, 401]);
      expect((await refresh(next, refreshToken)).body.error).toBe('invalid_grant');
    }
    for (const { token, refreshToken } of user.live) {
      expect((await get(next.port, '/verify', bearer(token))).status).toBe(200);
      expect((await refresh(next, refreshToken)).status).toBe(200);
    }
  }
}, 120_000);

function total(users: readonly UserOfApi[]): number {
  return users.reduce((sum, { issued }) => sum + issued.length, 0);
}
