import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { headers, policies } from '../../src/config/setting-kinds.js';
import { formatValue, jsonValue, problemOf, readValue } from '../../src/config/setting-values.js';
import { placesOf } from '../../src/config/standard-paths.js';

const places = placesOf({}, { homeDir: tmpdir() });

describe('serve.headers', () => {
  test('is a map of headers to claims, also as JSON text', () => {
    const map = { 'X-User-Roles': 'roles', 'Remote-Groups': 'https://example.com/groups' };
    for (const raw of [map, JSON.stringify(map)])
      expect(readValue(headers, raw, '/', places)?.value).toEqual(map);
    expect(jsonValue(headers, map)).toEqual(map);
    expect(readValue(headers, formatValue(headers, map), '/', places)?.value).toEqual(map);
  });

  test.each([
    ['X-Roles=roles', 'is not JSON'],
    [['X-Roles'], 'is an array; expected a map of headers to claims'],
    [{ 'X-Roles': 3 }, '.X-Roles is a number; expected the name of a claim'],
    [{ 'X-Roles': '' }, '.X-Roles is a string; expected the name of a claim'],
    [{ 'X-Auth-Subject': 'email' }, 'which jwtctl itself sets'],
    [{ 'x-auth-jti': 'email' }, 'which jwtctl itself sets'],
    [{ 'X-Request-ID': 'email' }, 'which jwtctl itself sets'],
    [{ 'X-Roles': 'a', 'x-roles': 'b' }, 'twice'],
    ...[
      ...['Connection', 'Content-Length', 'Transfer-Encoding', 'Host', 'Authorization', 'Cookie', 'Roles'],
      ...['X_Roles', 'X-Roles_', 'X.Roles', 'X-Röles', 'X-', 'X-A B', 'X-A:', 'X-A\r\nB', ''],
      ...['X-Accel-Redirect', 'x-accel-buffering', `X-${'a'.repeat(61)}`, '__proto__'],
    ].map((name) => [JSON.parse(`{${JSON.stringify(name)}:"c"}`), 'expected a name that begins with X-']),
  ])('refuses %j', (raw, problem) => {
    expect(readValue(headers, raw, '/', places)).toBeNull();
    expect(problemOf(headers, raw, '/', places)).toContain(problem);
  });
});

describe('serve.policies', () => {
  test('is a map of names to policies, also as JSON text', () => {
    const map = { orders: { aud: 'shop', scope: ['a', 'b'], claims: { role: 'admin' }, maxAge: '15m' } };
    const value = { orders: { aud: ['shop'], scope: ['a', 'b'], claims: { role: ['admin'] }, maxAge: 900 } };
    for (const raw of [map, JSON.stringify(map), value])
      expect(readValue(policies, raw, '/', places)?.value).toEqual(value);
    expect(readValue(policies, formatValue(policies, value), '/', places)?.value).toEqual(value);
  });

  test.each([
    ['orders', 'is not JSON'],
    [[], 'is an array; expected a map of policies'],
    [{ orders: { scopes: [] } }, '.orders has the unknown member scopes; did you mean scope?'],
    [{ orders: {} }, '.orders demands nothing'],
    [{ '@orders': { scope: 'a' } }, 'has a policy named "@orders"'],
    [{ 'a/b': { scope: 'a' } }, 'has a policy named "a/b"'],
    [{ '': { scope: 'a' } }, 'has a policy named ""'],
  ])('refuses %j', (raw, problem) => {
    expect(readValue(policies, raw, '/', places)).toBeNull();
    expect(problemOf(policies, raw, '/', places)).toContain(problem);
  });
});
