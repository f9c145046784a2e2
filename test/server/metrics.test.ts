import { afterAll, beforeAll, expect, test } from 'vitest';
import { METRICS } from '../../src/metrics/declarations.js';
import { promtool, valuesOf } from '../support/prometheus.js';
import { basic, CLIENT, servingsOver } from '../support/serving.js';
import { openStores, type Stores } from '../support/stores.js';

let stores: Stores;
beforeAll(async () => {
  stores = await openStores('SQLite');
  await stores.json('keys', 'generate', '--kid', 'k1');
  await stores.json('users', 'add', 'alice');
});
afterAll(() => stores?.close());
const serving = servingsOver(() => stores);

async function open(options: Parameters<typeof serving>[0] = {}) {
  const opened = await serving(options);
  const { app } = opened;
  const text = async () => (await app.inject({ url: '/metrics' })).body;
  return {
    ...opened,
    text,
    value: async (name: string) => valuesOf(await text(), name)[''],
    post: async (url: string, body: Record<string, string | boolean>) => {
      const isForm = url !== '/v1/tokens';
      const type = isForm ? 'application/x-www-form-urlencoded' : 'application/json';
      const payload = isForm
        ? new URLSearchParams(body as Record<string, string>).toString()
        : JSON.stringify(body);
      return app.inject({
        method: 'POST',
        url,
        payload,
        headers: { ...basic(CLIENT), 'content-type': type },
      });
    },
    end: (url: string) => app.inject({ method: 'DELETE', url, headers: basic(CLIENT) }),
  };
}

test('counts tokens that the API issues, refreshes, and ends', async () => {
  const { post, end, value, app } = await open({ logout: true });
  const counters = async () => ({
    issued: await value('jwtctl_tokens_issued_total'),
    refreshed: await value('jwtctl_refreshes_total'),
    reused: await value('jwtctl_refresh_tokens_reused_total'),
    revoked: await value('jwtctl_tokens_revoked_total'),
  });
  expect(await counters()).toEqual({ issued: 0, refreshed: 0, reused: 0, revoked: 0 });

  const { refreshToken } = (await post('/v1/tokens', { sub: 'alice', refresh: true })).json();
  expect((await post('/v1/tokens', { sub: 'eve' })).statusCode).toBe(404);
  const refresh = () => post('/token', { grant_type: 'refresh_token', refresh_token: refreshToken });
  expect((await refresh()).statusCode).toBe(200);
  expect(await counters()).toEqual({ issued: 1, refreshed: 1, reused: 0, revoked: 0 });
  stores.clock.advance(60);
  expect((await refresh()).statusCode).toBe(400);
  expect(await counters()).toMatchObject({ refreshed: 1, reused: 1 });

  const issue = async () => (await post('/v1/tokens', { sub: 'alice' })).json();
  stores.clock.advance(1);
  await issue();
  await issue();
  expect((await end('/v1/users/alice/tokens?all=true')).json()).toMatchObject({ revoked: 2 });
  expect(await counters()).toMatchObject({ issued: 3, revoked: 2 });
  stores.clock.advance(1);
  await end(`/v1/users/alice/tokens/${(await issue()).jti}`);
  await post('/revoke', { token: (await issue()).token });
  await post('/revoke', { token: 'not a token' });
  const authorization = `Bearer ${(await issue()).token}`;
  await app.inject({ method: 'POST', url: '/logout', headers: { authorization } });
  expect(await counters()).toMatchObject({ issued: 6, revoked: 5 });
  await stores.json('users', 'add', 'bob');
  await post('/v1/tokens', { sub: 'bob' });
  await end('/v1/users/bob');
  expect(await counters()).toMatchObject({ issued: 7, revoked: 6 });
});

test('shows the keys, the next rotation, and how far the security log was read', async () => {
  const { text, value, verifier } = await open();
  const metrics = await text();
  expect(valuesOf(metrics, 'jwtctl_keys')).toMatchObject({ 'state=active': 1, 'state=pending': 0 });
  expect(Object.keys(valuesOf(metrics, 'jwtctl_key_created_timestamp_seconds'))).toEqual([
    'kid=k1,state=active',
  ]);
  const activatedAt = (await stores.json('keys', 'show', 'k1')).activatedAt;
  expect(await value('jwtctl_active_key_activated_timestamp_seconds')).toBe(activatedAt);
  expect(await value('jwtctl_next_rotation_timestamp_seconds')).toBe(activatedAt + 30 * 86_400);
  expect(await value('jwtctl_security_log_lag_seconds')).toBe(0);
  expect(await value('jwtctl_security_log_events_behind')).toBeUndefined();
  expect(verifier.health().securityLog.readAt).toBe(stores.clock.now());
  expect(valuesOf(metrics, 'jwtctl_near_cache_tracking')).toEqual({});
});

test('shows the lag of the security log, and servers that report no changes to the near cache', async () => {
  const base = await open();
  const now = stores.clock.now();
  const master = { code: null, since: now, warnings: [] };
  const { text, value } = await open({
    verifier: {
      health: () => ({
        ...base.verifier.health(),
        securityLog: { readAt: now - 40, eventsBehind: 3 },
        nearCache: { hits: 0, misses: 0 },
        masters: [
          { ...master, node: 'a:1' },
          { ...master, node: 'b:1', warnings: ['not_tracking'] },
          { ...master, node: 'c:1', code: 'ERR_REDIS_UNREACHABLE' },
        ],
      }),
    },
  });
  expect(await value('jwtctl_security_log_lag_seconds')).toBe(40);
  expect(await value('jwtctl_security_log_events_behind')).toBe(3);
  const tracking = valuesOf(await text(), 'jwtctl_near_cache_tracking');
  expect(tracking).toEqual({ 'node=a:1': 1, 'node=b:1': 0, 'node=c:1': 0 });
});

test('prints every declared metric, and what promtool accepts', async () => {
  const { text } = await open();
  const metrics = await text();
  const declared = Object.entries(METRICS).filter(([, { from }]) =>
    (from as readonly string[]).includes('serve'),
  );
  const printed = [...metrics.matchAll(/^# TYPE (jwtctl_\w+) /gm)].map(([, name]) => name);
  expect(printed.sort()).toEqual(declared.map(([name]) => name).sort());
  const own = metrics.split('\n\n').filter((block) => block.startsWith('# HELP jwtctl_'));
  expect(promtool(['check', 'metrics'], `${own.join('\n')}\n`)).toEqual({ exitCode: 0, output: '' });
});
