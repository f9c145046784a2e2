import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPolicies } from '../../src/config/serve-policies.js';
import { policyName } from '../../src/server/verify.js';
import { freshJwk, keyOf, pkcs8Of } from '../support/private-keys.js';
import { bearer, servingsOver } from '../support/serving.js';
import { signJws } from '../support/signing.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const POLICIES = readPolicies({
  orders: { scope: ['orders:read', 'orders:write'] },
  admin: { aud: 'user', claims: { role: 'admin' } },
  payment: { maxAge: '5m' },
});

test.each([
  ['/verify', null],
  ['/verify/', null],
  ['/verify?x=/@orders', null],
  ['/verify/orders/@admin', null],
  ['/verify/@orders', 'orders'],
  ['/verify/@orders/', 'orders'],
  ['/verify/@orders/items/7?x=1', 'orders'],
  ['/verify/@orders?x=1', 'orders'],
  ['/verify/@orders/@admin', 'orders'],
  // What a proxy may make of it.
  ['/verify//@orders', 'orders'],
  ['/verify/%40orders', 'orders'],
  ['/verify/@', ''],
  ['/verify/@Orders', 'Orders'],
])('the path %s names the policy %j', (url, name) => {
  expect(policyName(url)).toBe(name);
});

describe.each(BACKENDS)('/verify with policies and headers on %s', (backend) => {
  let stores: Stores;
  const theirs = keyOf(freshJwk());

  beforeAll(async () => {
    stores = await openStores(backend, { JWTCTL_TOKEN_ACCEPT_LEGACY: '2999-12-31' });
    await stores.json('keys', 'generate');
    await stores.json('keys', 'import', '--pem', '-', '--kid', 'theirs', { stdin: pkcs8Of(theirs) });
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  const serving = servingsOver(() => stores);
  const issue = async (...flags: string[]): Promise<string> =>
    (await stores.json('token', 'issue', '--sub', 'alice', ...flags)).token;
  const registerLegacy = async (claims: Record<string, unknown>): Promise<string> => {
    const exp = stores.clock.now() + 600;
    const token = await signJws({ privateKey: theirs }, { alg: 'RS256' }, { sub: 'alice', exp, ...claims });
    await stores.json('token', 'register', '--legacy', '-', { stdin: token });
    return token;
  };

  test('a policy that is met answers as /verify does', async () => {
    const { app } = await serving({ policies: POLICIES });
    const token = await issue('--claim', 'scope=orders:write orders:read');
    const plain = await app.inject({ url: '/verify', headers: bearer(token) });
    for (const url of ['/verify/@orders', '/verify/@orders/items?id=1', '/verify/@payment']) {
      const { statusCode, headers, body } = await app.inject({ url, headers: bearer(token) });
      expect({ statusCode, body, subject: headers['x-auth-subject'] }).toEqual({
        ...{ statusCode: 200, body: '', subject: 'alice' },
      });
      expect(Object.keys(headers)).toEqual(Object.keys(plain.headers));
    }
  });

  test('a policy that is not met answers 403 with insufficient_scope (RFC 6750 §3.1)', async () => {
    const { app, lines } = await serving({ policies: POLICIES });
    const token = await issue('--claim', 'scope=orders:read', '--claim', 'role=user');
    const scopes = 'scope="orders:read orders:write"';
    const answers = [
      ['orders', 'ERR_SCOPE_INSUFFICIENT', `, ${scopes}`],
      ['admin', 'ERR_POLICY_NOT_MET', ''],
    ];
    for (const [policy, code, parameters] of answers) {
      const answer = await app.inject({ url: `/verify/@${policy}/x`, headers: bearer(token) });
      expect(answer.statusCode).toBe(403);
      expect(answer.headers['www-authenticate']).toBe(
        `Bearer realm="jwtctl", error="insufficient_scope"${parameters}`,
      );
      expect(answer.json()).toEqual({ error: 'Forbidden', code });
      expect(answer.headers['x-auth-subject']).toBeUndefined();
      expect(lines().at(-1)).toMatchObject({ status: 403, code, route: '/verify' });
    }
    expect(lines().at(-2).msg).toBe('The token lacks the scope orders:write.');
    expect(JSON.stringify(lines())).not.toContain('role=user');
  });

  test('a login that is too old answers 401 with the max_age (RFC 9470 §3)', async () => {
    const { app } = await serving({ policies: POLICIES });
    const now = stores.clock.now();
    const ask = async (authTime: number) => {
      const token = await issue('--claim', `auth_time=${authTime}`);
      return app.inject({ url: '/verify/@payment', headers: bearer(token) });
    };
    expect((await ask(now - 60)).statusCode).toBe(200);
    const old = await ask(now - 3600);
    expect([old.statusCode, old.json().code]).toEqual([401, 'ERR_LOGIN_TOO_OLD']);
    expect(old.headers['www-authenticate']).toBe(
      'Bearer realm="jwtctl", error="insufficient_user_authentication", max_age="300"',
    );
  });

  test('the time at which a legacy token was registered does not count as a login', async () => {
    const { app } = await serving({ policies: POLICIES });
    const now = stores.clock.now();
    const ask = async (claims: Record<string, unknown>) => {
      const headers = bearer(await registerLegacy(claims));
      const { statusCode, body } = await app.inject({ url: '/verify/@payment', headers });
      return statusCode === 200 ? 'met' : JSON.parse(body).code;
    };
    expect(await ask({})).toBe('ERR_LOGIN_TOO_OLD');
    expect(await ask({ iat: null })).toBe('ERR_LOGIN_TOO_OLD');
    expect(await ask({ auth_time: now - 60 })).toBe('met');
    expect(await ask({ iat: now - 60 })).toBe('met');
    expect(await ask({ iat: now - 3600 })).toBe('ERR_LOGIN_TOO_OLD');
  });

  test('a policy does not change who is refused: 401 and 400 stay', async () => {
    const { app } = await serving({ policies: POLICIES, cookie: 'session' });
    const none = await app.inject({ url: '/verify/@orders' });
    expect([none.statusCode, none.json()]).toEqual([401, { error: 'No Token', code: 'ERR_TOKEN_MISSING' }]);
    const bad = await app.inject({ url: '/verify/@orders', headers: bearer('x') });
    expect([bad.statusCode, bad.json().code]).toEqual([401, 'ERR_TOKEN_MALFORMED']);
    const token = await issue();
    const two = await app.inject({
      ...{ url: '/verify/@orders', headers: { ...bearer(token), cookie: `session=${token}` } },
    });
    expect([two.statusCode, two.json().code]).toEqual([400, 'ERR_TOKEN_AMBIGUOUS']);
  });

  test('an unknown policy accepts no token, and is logged as an error', async () => {
    for (const policies of [POLICIES, {}]) {
      const { app, lines } = await serving({ policies });
      const token = await issue('--claim', 'scope=orders:write orders:read');
      for (const url of [
        ...['/verify/@order', '/verify/@', '/verify/@Orders', '/verify/%40other', '/verify//@other'],
        ...['/verify/@orders%2F', '/verify/@toString', '/verify/@__proto__'],
      ]) {
        const { statusCode, headers, json } = await app.inject({ url, headers: bearer(token) });
        expect({ url, statusCode, body: json() }).toEqual({
          ...{ url, statusCode: 500 },
          body: { error: 'Internal Server Error', code: 'ERR_POLICY_UNKNOWN' },
        });
        expect(headers['x-auth-subject']).toBeUndefined();
      }
      expect(lines().at(-1)).toMatchObject({ level: 'error', code: 'ERR_POLICY_UNKNOWN' });
    }
  });

  test('the metrics count policies that were not met', async () => {
    const { app } = await serving({ policies: POLICIES });
    await app.inject({ url: '/verify/@orders', headers: bearer(await issue()) });
    const { body } = await app.inject({ url: '/metrics' });
    expect(body).toContain('jwtctl_verifications_total{code="ERR_SCOPE_INSUFFICIENT"} 1');
    expect(body).not.toContain('code="active"');
  });

  test('claims become headers: text percent-encoded, numbers as the token spells them, the rest as JSON', async () => {
    const headers = {
      ...{ 'X-User-Role': 'role', 'X-User-Roles': 'roles', 'X-Tenant': 'tenant', 'X-Mfa': 'mfa' },
      ...{ 'X-Price': 'price', 'X-Address': 'address', 'X-Missing': 'missing', 'X-Null': 'nothing' },
      ...{ 'Remote-User': 'sub', 'X-Expires': 'exp', 'X-Empty': 'empty', 'X-Proto': 'toString' },
    };
    const claims = {
      ...{ role: 'Größe 100%\r\nX-Admin: yes', roles: ['admin', 'ö"b'], tenant: 7, mfa: true },
      ...{ price: 0.1, address: { city: 'Köln', geo: [1, null] }, nothing: null, empty: '' },
    };
    const { app } = await serving({ headers });
    const body = await stores.json('token', 'issue', '--sub', 'alice', '--claims', '-', {
      stdin: JSON.stringify(claims),
    });
    for (const _ of ['first', 'remembered']) {
      const answer = await app.inject({ url: '/verify', headers: bearer(body.token) });
      const found = (name: string) => {
        const value = answer.headers[name];
        return typeof value === 'string' ? decodeURIComponent(value) : undefined;
      };
      expect(answer.statusCode).toBe(200);
      expect(answer.headers['x-user-role']).toMatch(/^[\x21-\x7e]+$/);
      expect(found('x-user-role')).toBe(claims.role);
      expect(JSON.parse(String(found('x-user-roles')))).toEqual(claims.roles);
      expect(answer.headers['x-user-roles']).not.toContain(' ');
      expect([found('x-tenant'), found('x-mfa'), found('x-price')]).toEqual(['7', 'true', '0.1']);
      expect(JSON.parse(String(found('x-address')))).toEqual(claims.address);
      expect([found('remote-user'), found('x-expires')]).toEqual(['alice', String(body.exp)]);
      expect(found('x-empty')).toBe('');
      for (const absent of ['x-missing', 'x-null', 'x-proto', 'x-admin'])
        expect(answer.headers[absent]).toBeUndefined();
      expect(answer.headers['x-auth-subject']).toBe('alice');
    }
  });

  test('half of a surrogate pair in a claim becomes a replacement character', async () => {
    const { app } = await serving({ headers: { 'X-User-Name': 'name', 'X-Names': 'names' } });
    const token = await registerLegacy({ name: 'Al\ud83d', names: ['Al\ud83d'] });
    const { statusCode, headers } = await app.inject({ url: '/verify', headers: bearer(token) });
    expect([statusCode, headers['x-user-name']]).toEqual([200, 'Al%EF%BF%BD']);
    expect(JSON.parse(decodeURIComponent(String(headers['x-names'])))).toEqual(['Al\ud83d']);
  });

  test('headers that are too long for a proxy accept no token', async () => {
    const { app, lines } = await serving({ headers: { 'X-Roles': 'roles' } });
    const withRoles = (length: number) => issue('--claim', `roles=${'r'.repeat(length)}`);
    const fits = 4096 - 'x-roles: \r\n'.length;
    expect((await app.inject({ url: '/verify', headers: bearer(await withRoles(fits)) })).statusCode).toBe(
      200,
    );
    const answer = await app.inject({ url: '/verify', headers: bearer(await withRoles(fits + 1)) });
    expect([answer.statusCode, answer.json().code]).toEqual([500, 'ERR_HEADERS_TOO_LONG']);
    expect(answer.headers['x-auth-subject']).toBeUndefined();
    expect(lines().at(-1)).toMatchObject({ level: 'error', code: 'ERR_HEADERS_TOO_LONG' });
  });
});
