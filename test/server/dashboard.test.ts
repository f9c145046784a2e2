import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { SecurityEvent } from '../../src/domain/ports/index.js';
import type { Report } from '../../src/page/page-data.js';
import { countsIn } from '../../src/server/dashboard/counts.js';
import { Feed } from '../../src/server/dashboard/feed.js';
import { RecentEvents } from '../../src/server/dashboard/recent-events.js';
import { useBrowser } from '../support/browser.js';
import { type EventStream, openEventStream } from '../support/event-stream.js';
import { get, type Served, startServed } from '../support/served.js';
import { basic, CLIENT, type Client, clientSetting, servingsOver } from '../support/serving.js';
import { openStores, type Stores } from '../support/stores.js';

const REPORT = { at: 1 } as Report;

describe('GET /dashboard', () => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
  });
  afterAll(() => stores?.close());

  const serve = servingsOver(() => stores);
  const streams: EventStream[] = [];
  afterEach(() => {
    for (const stream of streams.splice(0)) stream.close();
  });

  test('does not exist without serve.dashboard', async () => {
    const { app } = await serve();
    for (const url of ['/dashboard', '/dashboard/events'])
      expect((await app.inject({ url, headers: basic(CLIENT) })).statusCode).toBe(404);
  });

  test('asks a browser for the password of a client', async () => {
    const { app } = await serve({ readReport: async () => REPORT });
    for (const url of ['/dashboard', '/dashboard/events']) {
      const { statusCode, headers } = await app.inject(url);
      expect({ statusCode, challenge: headers['www-authenticate'] }).toEqual({
        ...{ statusCode: 401, challenge: expect.stringMatching(/^Basic realm=/) },
      });
    }
  });

  test('refuses a client that may not read, and one with audiences', async () => {
    const [writer, limited]: Client[] = ['writer', 'limited'].map((id) => ({
      ...{ id, secret: `${id} `.padEnd(40, '.') },
    })) as [Client, Client];
    const clients = [
      clientSetting(writer as Client, { may: ['issue', 'revoke'] }),
      clientSetting(limited as Client, { may: ['read'], audiences: ['web'] }),
    ];
    const { app } = await serve({ clients, readReport: async () => REPORT });
    for (const url of ['/dashboard', '/dashboard/events'])
      for (const client of [writer, limited] as Client[]) {
        const answer = await app.inject({ url, headers: basic(client) });
        expect(answer.statusCode).toBe(403);
        expect(answer.json().code).toBe('ERR_CLIENT_FORBIDDEN');
      }
  });

  test('protects the page', async () => {
    const { app } = await serve({ readReport: async () => REPORT });
    const { statusCode, headers } = await app.inject({ url: '/dashboard', headers: basic(CLIENT) });

    expect(statusCode).toBe(200);
    const policy = String(headers['content-security-policy']);
    expect(policy).toMatch(/^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+';/);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'content-type': 'text/html; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
    });
  });

  test('reads one report for all viewers, none without a viewer, and the next after a minute', async () => {
    let reads = 0;
    const readReport = async () => {
      reads += 1;
      return { at: reads } as Report;
    };
    const { app } = await serve({ readReport });
    const port = await listening(app);
    const follow = () => opened(port);
    expect(reads).toBe(0);

    const [first, second] = [await follow(), await follow()];
    expect([await first.next('report'), await second.next('report')]).toEqual([{ at: 1 }, { at: 1 }]);
    await first.next('counts');
    expect(reads).toBe(1);
    stores.clock.advance(61);
    // A viewer that comes now does not get the old one.
    expect(await (await follow()).next('report')).toEqual({ at: 2 });
    expect(await first.next('report')).toEqual({ at: 2 });
  });

  test('reads the next report after ten times as long as the last one took', async () => {
    let reads = 0;
    const readReport = async () => {
      reads += 1;
      stores.clock.advance(20);
      return { at: reads } as Report;
    };
    const { app } = await serve({ readReport });
    const port = await listening(app);
    expect(await (await opened(port)).next('report')).toEqual({ at: 1 });
    stores.clock.advance(199);
    expect(await (await opened(port)).next('report')).toEqual({ at: 1 });
    stores.clock.advance(1);
    expect(await (await opened(port)).next('report')).toEqual({ at: 2 });
  });

  test('tries again ten seconds after a failure', async () => {
    const readReport = vi.fn(async () => REPORT).mockRejectedValueOnce(new Error('away'));
    const { app } = await serve({ readReport });
    const port = await listening(app);
    await (await opened(port)).next('failure');
    stores.clock.advance(10);
    expect(await (await opened(port)).next('report')).toEqual(REPORT);
  });

  test('refuses pages of other sites', async () => {
    const { app } = await serve({ readReport: async () => REPORT });
    for (const site of ['cross-site', 'same-site']) {
      const headers = { ...basic(CLIENT), 'sec-fetch-site': site };
      const answer = await app.inject({ url: '/dashboard/events', headers });
      expect({ status: answer.statusCode, code: answer.json().code }).toEqual({
        ...{ status: 403, code: 'ERR_CLIENT_FORBIDDEN' },
      });
      // A link may lead to the page.
      expect((await app.inject({ url: '/dashboard', headers })).statusCode).toBe(200);
    }
  });

  test('names no host if the report cannot be read', async () => {
    const { app } = await serve({ readReport: () => Promise.reject(new Error('host-1:3306')) });
    const stream = await opened(await listening(app));
    expect(await stream.next('failure')).toEqual({ code: 'ERR_BUG' });
  });

  test('serves at most 20 viewers in each process, and ends them when it stops', async () => {
    const { app } = await serve({ readReport: async () => REPORT });
    const port = await listening(app);
    const viewers = await Promise.all(Array.from({ length: 20 }, () => opened(port)));
    const tooMany = await opened(port);
    expect({ status: tooMany.status, retry: tooMany.headers['retry-after'] }).toEqual({
      ...{ status: 503, retry: '10' },
    });

    viewers[0]?.close();
    await vi.waitFor(async () => expect((await opened(port)).status).toBe(200));
    await app.close();
    await Promise.all(viewers.map(({ ended }) => ended));
  });

  test('sends no event to HEAD', async () => {
    const { app } = await serve({ readReport: async () => REPORT });
    const answer = await app.inject({ method: 'HEAD', url: '/dashboard/events', headers: basic(CLIENT) });
    expect(answer.statusCode).toBe(404);
  });

  test.each([
    ['without clients', undefined],
    ['if no client may read', JSON.stringify([{ ...asJson(CLIENT), may: ['issue'] }])],
    ['if each client has audiences', JSON.stringify([{ ...asJson(CLIENT), audiences: ['web'] }])],
  ])('is refused %s', async (_case, clients) => {
    stores.env.JWTCTL_SERVE_DASHBOARD = 'true';
    if (clients !== undefined) stores.env.JWTCTL_SERVE_CLIENTS = clients;
    try {
      const { exitCode, stderr } = await stores.run('serve', '--json');
      expect({ exitCode, code: JSON.parse(stderr).error.code }).toEqual({
        ...{ exitCode: 2, code: 'ERR_CONFIG_VALUE_INVALID' },
      });
    } finally {
      delete stores.env.JWTCTL_SERVE_DASHBOARD;
      delete stores.env.JWTCTL_SERVE_CLIENTS;
    }
  });

  async function listening(app: Awaited<ReturnType<typeof serve>>['app']): Promise<number> {
    await app.listen({ host: '127.0.0.1', port: 0 });
    return (app.server.address() as AddressInfo).port;
  }

  async function opened(port: number): Promise<EventStream> {
    const stream = await openEventStream(port, '/dashboard/events', basic(CLIENT));
    streams.push(stream);
    return stream;
  }
});

describe('the dashboard in a browser', () => {
  const HOSTILE = '<img src=x onerror=hacked=1>';
  let stores: Stores;
  let served: Served;
  let token: string;
  const open = useBrowser();
  const openDashboard = () =>
    open(`http://127.0.0.1:${served.port}/dashboard`, {
      httpCredentials: { username: CLIENT.id, password: CLIENT.secret },
    });

  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster');
    await stores.json('keys', 'generate', '--kid', 'first');
    ({ token } = await stores.json(
      'token',
      'issue',
      '--sub',
      HOSTILE,
      '--create-user',
      '--meta',
      'device=<b>',
    ));
    const clients = JSON.stringify([{ ...asJson(CLIENT), may: ['read'] }]);
    const env = { ...stores.env, JWTCTL_SERVE_CLIENTS: clients, JWTCTL_SERVE_DASHBOARD: 'true' };
    served = await startServed(env, '--workers', '2');
    await served.logged('listening', 2);
  });
  afterAll(async () => {
    await served?.kill();
    await stores?.close();
  });

  test('shares one report between the workers', async () => {
    // First, because no worker has a report yet.
    const follow = () => openEventStream(served.port, '/dashboard/events', basic(CLIENT));
    const first = await follow();
    const { at, inspection } = await first.next('report');
    // No lookup of each subject.
    expect(inspection.anomalies.unknownUser).toBeNull();
    await first.next('counts');
    // Two seconds later.
    await first.next('counts');
    const others = await Promise.all(Array.from({ length: 4 }, follow));
    for (const other of others) expect((await other.next('report')).at).toBe(at);
    for (const stream of [first, ...others]) stream.close();
  });

  test('shows the registry, the fleet, and the verdicts of all workers', async () => {
    const { page, complaints, requests } = await openDashboard();
    for (let count = 0; count < 6; count += 1)
      await get(served.port, '/verify', { authorization: `Bearer ${token}` });
    await get(served.port, '/verify', { authorization: 'Bearer x' });

    await page.locator('#findings h2').waitFor();
    await page
      .locator('#verdicts tbody tr', { hasText: 'accepted' })
      .getByText('6', { exact: true })
      .waitFor();
    await page.locator('#verdicts tbody tr', { hasText: 'ERR_TOKEN_MALFORMED' }).waitFor();
    await page.locator('#latency', { hasText: '99% within' }).waitFor();
    expect(await page.locator('#top-subjects tbody th').textContent()).toBe(HOSTILE);
    const verifiers = await page.locator('#fleet tbody tr').allTextContents();
    expect(verifiers).toHaveLength(2);
    expect(verifiers[0]).toMatch(/\d+\.\d+\.\d+/);
    expect(await page.evaluate('typeof hacked')).toBe('undefined');
    expect(complaints).toEqual([]);
    const own = `http://127.0.0.1:${served.port}/dashboard`;
    expect([...new Set(requests)]).toEqual([own, `${own}/events`]);
    await page.context().close();
  });

  test('lists the sessions of a subject', async () => {
    const { page, complaints } = await openDashboard();
    await page.getByRole('textbox').fill(HOSTILE);
    await page.keyboard.press('Enter');
    const row = page.locator('#session-list tbody tr');
    await row.waitFor();
    const [{ jti }] = await stores.json('token', 'list', '--sub', HOSTILE);
    expect(await row.textContent()).toContain(jti);
    expect(await row.textContent()).toContain('device: <b>');

    await page.getByRole('textbox').fill('unknown');
    await page.keyboard.press('Enter');
    await page.locator('#session-list', { hasText: 'No live tokens' }).waitFor();
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test('shows a revocation when it happens', async () => {
    const { page } = await openDashboard();
    await page.locator('#revocations', { hasText: 'None yet' }).waitFor();
    await stores.json('token', 'revoke', '--sub', HOSTILE, '--all', '--yes', '--reason', '<script>');

    const item = page.locator('#revocations li');
    await item.waitFor({ timeout: 10_000 });
    expect(await item.textContent()).toContain(`All tokens of ${HOSTILE}`);
    expect(await item.textContent()).toContain('<script>');
    await page.context().close();
  });

  test('does not keep the server from stopping', async () => {
    const { page } = await openDashboard();
    await page.locator('#connection', { hasText: 'Live' }).waitFor();
    served.signal('SIGTERM');
    expect(await served.ended).toEqual({ exitCode: 0, signal: null });
    const times = served.lines().flatMap(({ msg, time }) => (/^stopp/.test(msg) ? Date.parse(time) : []));
    // A second for `serve.drain`. Requests that do not end by themselves take 15 s.
    expect(Math.max(...times) - Math.min(...times)).toBeLessThan(10_000);
    await page.locator('#connection', { hasText: 'Disconnected' }).waitFor();
    await page.context().close();
  });
});

describe('a viewer that does not read', () => {
  test('gets no event once the server stops', async () => {
    const { feed, send, response, stop } = await stalledViewer();
    const errors: unknown[] = [];
    response.on('error', (error) => errors.push(error));
    feed.close();
    send('');
    await setImmediate();
    expect({ isOpen: !response.closed, errors }).toEqual({ isOpen: true, errors: [] });
    await stop();
  });

  test('costs no event anything once it is gone', async () => {
    const { events, response, stop } = await stalledViewer();
    response.destroy();
    await once(response, 'close');
    const toJSON = vi.fn();
    events.take({ ...{ id: 1_000, type: 'all_revoked', at: 1 }, reason: { toJSON } } as never);
    expect(toJSON).not.toHaveBeenCalled();
    await stop();
  });

  test('does not end the process if its response is over', async () => {
    const { send, response, stop } = await stalledViewer();
    const failed = once(response, 'error');
    // One of them is that of `once`.
    expect(response.listenerCount('error')).toBe(2);
    response.end();
    send('');
    expect(await failed).toMatchObject([{ code: 'ERR_STREAM_WRITE_AFTER_END' }]);
    await stop();
  });

  async function stalledViewer() {
    const events = new RecentEvents();
    const feed = new Feed({
      ...{ events, now: () => 0, metricsText: async () => '', verifiers: async () => null },
      report: async () => REPORT,
    });
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.pause().write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
    feed.add(response);
    let id = 0;
    const send = (reason: string) => {
      id += 1;
      events.take({ id, type: 'all_revoked', at: 1, reason } as SecurityEvent);
    };
    // Fills the buffers of both sockets, but not so much that the feed disconnects it.
    while (response.writableLength < 500_000) {
      send('x'.repeat(200_000));
      await setImmediate();
    }
    const stop = async () => {
      feed.close();
      socket.destroy();
      await once(server.close(), 'close');
    };
    return { feed, events, send, response, stop };
  }
});

test('reads the sums of verdicts and durations from the metrics', () => {
  const text = `# HELP jwtctl_verifications_total Requests by verdict.
jwtctl_verifications_total{code="active"} 12
jwtctl_verifications_total{code="ERR_TOKEN_REVOKED"} 3
jwtctl_verification_duration_seconds_bucket{le="0.001"} 9
jwtctl_verification_duration_seconds_bucket{le="+Inf"} 15
jwtctl_verification_duration_seconds_sum 0.5
jwtctl_ready 0
`;
  expect(countsIn(text)).toEqual({
    ready: false,
    verdicts: { active: 12, ERR_TOKEN_REVOKED: 3 },
    latency: [
      { leSeconds: 0.001, count: 9 },
      { leSeconds: null, count: 15 },
    ],
  });
});

test('keeps the last 50 events, each once, with late ones in their place', () => {
  const recent = new RecentEvents();
  const shown: number[] = [];
  recent.onNew = ({ id }) => shown.push(id);
  const event = (id: number): SecurityEvent => ({
    ...{ id, type: 'all_revoked', sub: null, jti: null, kid: null, issuedBefore: 1, userVersion: null },
    ...{ reason: null, at: 1, expiresAt: 2 },
  });
  for (const id of [1, 2, 4, 3, 1, 2, 3, 4]) recent.take(event(id));
  expect(shown).toEqual([1, 2, 4, 3]);
  expect(recent.all.map(({ id }) => id)).toEqual([1, 2, 3, 4]);

  for (let id = 5; id <= 60; id += 1) recent.take(event(id));
  recent.take(event(3));
  expect(recent.all.map(({ id }) => id)).toEqual(Array.from({ length: 50 }, (_, index) => index + 11));
  expect(shown).toHaveLength(60);
});

function asJson({ id, secret }: Client) {
  const secretSha256 = createHash('sha256').update(secret).digest('hex');
  return { id, secretSha256, may: ['read'] };
}
