import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import { jwkSetMaxAge } from '../../src/server/jwk-set.js';
import { valuesOf } from '../support/prometheus.js';
import { bearer, HEARTBEAT_VALID_SECONDS, servingsOver } from '../support/serving.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

describe.each(BACKENDS)('the other endpoints on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  const serving = servingsOver(() => stores);

  test('the JWK Set equals `keys export`, is cacheable, and changes its ETag with the keys', async () => {
    const { app } = await serving();
    const url = '/.well-known/jwks.json';
    const first = await app.inject({ url });
    expect(first.json()).toEqual(await stores.json('keys', 'export', '--jwks'));
    expect(first.headers['content-type']).toBe('application/jwk-set+json');
    expect(first.headers['cache-control']).toBe('public, max-age=300');
    const etag = String(first.headers.etag);
    expect(etag).toMatch(/^"[\w-]{43}"$/);

    for (const given of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await app.inject({ url, headers: { 'if-none-match': given } });
      expect({ given, status: again.statusCode, body: again.body }).toEqual({ given, status: 304, body: '' });
      expect(again.headers).toMatchObject({ etag, 'cache-control': 'public, max-age=300' });
    }
    expect((await app.inject({ url, headers: { 'if-none-match': '"other"' } })).statusCode).toBe(200);
    const head = await app.inject({ method: 'HEAD', url });
    expect([head.statusCode, head.headers.etag, head.body]).toEqual([200, etag, '']);

    await stores.json('keys', 'generate');
    stores.clock.advance(60);
    const askAgain = () => app.inject({ url, headers: { 'if-none-match': etag } });
    await expect.poll(async () => (await askAgain()).statusCode, { timeout: 5000 }).toBe(200);
    const later = await askAgain();
    expect(later.json().keys).toHaveLength(2);
    expect(later.body).not.toContain('"d"');
  });

  test('the JWK Set gets 503 if the keys cannot be read', async () => {
    const { app, lines } = await serving({
      verifier: {
        jwkSet: async () => {
          throw new JwtctlError('ERR_MYSQL_UNREACHABLE', 'MySQL is away.');
        },
      },
    });
    const { statusCode, headers } = await app.inject({ url: '/.well-known/jwks.json' });
    expect([statusCode, headers['retry-after'], headers.etag]).toEqual([503, '1', undefined]);
    expect(lines()).toMatchObject([{ level: 'error', code: 'ERR_MYSQL_UNREACHABLE' }]);
  });

  test('reports alive always, and ready while the verifier is ready and the server is not stopping', async () => {
    const { app, verifier, readiness } = await serving();
    expect((await app.inject({ url: '/healthz' })).json()).toEqual({ status: 'ok' });
    const ready = await app.inject({ url: '/readyz' });
    expect([ready.statusCode, ready.headers['cache-control']]).toEqual([200, 'no-store']);
    const { database, registry } = verifier.health();
    const up = ({ since }: { since: number }) => ({ state: 'up', since, code: null });
    expect(ready.json()).toEqual({
      ...{ ready: true, stopping: false },
      ...{ database: up(database), registry: up(registry) },
    });

    readiness.isStopping = true;
    const stopping = await app.inject({ url: '/readyz' });
    expect(stopping.statusCode).toBe(503);
    expect(stopping.json()).toMatchObject({ ready: false, stopping: true });
    expect((await app.inject({ url: '/healthz' })).statusCode).toBe(200);
  });

  test('names the store that is down in /readyz and in the metrics', async () => {
    const down = { state: 'down', since: 5, code: 'ERR_REDIS_UNREACHABLE' } as const;
    const base = await serving();
    const { app } = await serving({
      verifier: { health: () => ({ ...base.verifier.health(), isReady: false, registry: down }) },
    });
    const { statusCode, body } = await app.inject({ url: '/readyz' });
    expect([statusCode, JSON.parse(body).registry]).toEqual([503, down]);
    const metrics = (await app.inject({ url: '/metrics' })).body.split('\n');
    expect(metrics).toEqual(
      expect.arrayContaining([
        'jwtctl_ready 0',
        'jwtctl_store_state{store="registry",state="down"} 1',
        'jwtctl_store_state{store="registry",state="up"} 0',
        'jwtctl_store_state{store="database",state="up"} 1',
      ]),
    );
  });

  test('the metrics show how many recorded events were not read, if Redis knows', async () => {
    const { app } = await serving();
    const behind = async () =>
      valuesOf((await app.inject({ url: '/metrics' })).body, 'jwtctl_security_log_events_behind')[''];
    if (stores.redis === null) return expect(await behind()).toBeUndefined();
    const { client, prefix } = stores.redis;
    await expect.poll(behind).toBe(0);
    const mark = [0, 0, 0, '0'.repeat(64), 7, stores.clock.now() + 600];
    await client.hset(`${prefix}:marks`, 'hint', `- - ${JSON.stringify(mark)}`);
    stores.clock.advance(2);
    await expect.poll(behind, { timeout: 5000 }).toBe(7);
    await client.hdel(`${prefix}:marks`, 'hint');
  });

  test("the metrics count verdicts by code and show the verifier's state", async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'alice');
    const base = await serving();
    let toldAt: number | null = null;
    const { app, verifier } = await serving({
      verifier: {
        health: () => ({
          ...base.verifier.health(),
          keys: { trusted: 2, active: { kid: 'k', activatedAt: stores.clock.now() - 90 } },
          signatures: { entries: 3, hits: 40, misses: 5 },
          nearCache: { hits: 70, misses: 8 },
          heartbeats: { state: 'degraded', since: 5, code: 'ERR_REDIS_WRONG_TYPE', answeredAt: toldAt },
        }),
      },
    });
    expect(verifier.health().signatures.hits).toBe(40);
    for (const candidate of [token, token, 'x'])
      await app.inject({ url: '/verify', headers: bearer(candidate) });
    await app.inject({ url: '/verify' });
    const ask = () => app.inject({ url: '/metrics' });
    await ask();
    const { headers, body } = await ask();

    expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(body.split('\n')).toEqual(
      expect.arrayContaining([
        'jwtctl_verifications_total{code="active"} 2',
        'jwtctl_verifications_total{code="ERR_TOKEN_MALFORMED"} 1',
        'jwtctl_verifications_total{code="ERR_TOKEN_MISSING"} 1',
        'jwtctl_verification_duration_seconds_count 3',
        'jwtctl_verification_duration_seconds_bucket{le="+Inf"} 3',
        'jwtctl_signature_memory_hits_total 40',
        'jwtctl_signature_memory_misses_total 5',
        'jwtctl_signature_memory_entries 3',
        'jwtctl_near_cache_hits_total 70',
        'jwtctl_near_cache_misses_total 8',
        'jwtctl_keys_trusted 2',
        'jwtctl_heartbeat_registered 0',
        'jwtctl_keys{state="active"} 1',
        'jwtctl_ready 1',
      ]),
    );
    // The last heartbeat counts for its lifetime, however many attempts fail meanwhile.
    const told = async () => (await ask()).body.match(/^jwtctl_heartbeat_registered (.*)$/m)?.[1];
    toldAt = stores.clock.now() - HEARTBEAT_VALID_SECONDS + 1;
    expect(await told()).toBe('1');
    toldAt -= 1;
    expect(await told()).toBe('0');
    expect(body).toContain('nodejs_eventloop_lag_seconds');
    expect(body).toContain('process_cpu_seconds_total');
    expect(body).not.toContain('alice');
  });
});

test('the JWK Set may be cached for half of the publish lead, at most five minutes', () => {
  expect([1, 2, 59, 600, 86_400].map(jwkSetMaxAge)).toEqual([0, 1, 29, 300, 300]);
});
