import { describe, expect, test } from 'vitest';
import type { AcceptedClaims } from '../../../src/domain/verification/check-claims.js';
import { checkPolicy } from '../../../src/domain/verification/check-policy.js';
import { readRequestPolicy } from '../../../src/domain/verification/request-policy.js';

const NOW = 1_700_000_000;
const CLAIMS: AcceptedClaims = {
  ...{ iss: 'jwtctl', sub: 'alice', aud: ['user', 'orders'], iat: NOW - 100, exp: NOW + 900, jti: 'j' },
};

function outcomeOf(policy: unknown, claims: Record<string, unknown> = {}): string {
  const read = readRequestPolicy(policy, 'policy');
  return checkPolicy({ ...CLAIMS, ...claims }, read, NOW, 5)?.code ?? 'met';
}

describe('aud', () => {
  test.each([
    ['orders', ['user', 'orders'], 'met'],
    ['orders', 'orders', 'met'],
    [['shop', 'orders'], 'orders', 'met'],
    ['orders', ['user'], 'ERR_POLICY_NOT_MET'],
    ['orders', 'orders2', 'ERR_POLICY_NOT_MET'],
    ['orders', undefined, 'ERR_POLICY_NOT_MET'],
  ])('%j with the aud %j: %s', (aud, found, outcome) => {
    expect(outcomeOf({ aud }, { aud: found })).toBe(outcome);
  });
});

describe('scope', () => {
  const scope = ['orders:read', 'orders:write'];
  test.each([
    [{ scope: 'openid orders:write orders:read' }, 'met'],
    [{ scope: ['orders:read', 'orders:write'] }, 'met'],
    [{ scp: 'orders:read orders:write' }, 'met'],
    [{ scp: ['orders:write', 'orders:read'] }, 'met'],
    [{ scope: 'orders:read', scp: ['orders:write'] }, 'met'],
    [{ scope: 'orders:read' }, 'ERR_SCOPE_INSUFFICIENT'],
    [{ scope: 'orders:read orders:writer' }, 'ERR_SCOPE_INSUFFICIENT'],
    [{ scope: 'ORDERS:READ ORDERS:WRITE' }, 'ERR_SCOPE_INSUFFICIENT'],
    [{ scope: ['orders:read orders:write'] }, 'ERR_SCOPE_INSUFFICIENT'],
    [{ scope: { 'orders:read': true } }, 'ERR_SCOPE_INSUFFICIENT'],
    [{ scope: '' }, 'ERR_SCOPE_INSUFFICIENT'],
    [{}, 'ERR_SCOPE_INSUFFICIENT'],
  ])('both with %j: %s', (claims, outcome) => {
    expect(outcomeOf({ scope }, claims)).toBe(outcome);
  });
});

describe('claims', () => {
  test.each([
    [{ role: 'admin' }, { role: 'admin' }, 'met'],
    [{ role: 'admin' }, { role: ['user', 'admin'] }, 'met'],
    [{ role: ['admin', 'owner'] }, { role: 'owner' }, 'met'],
    [{ level: 3, mfa: true }, { level: 3, mfa: true }, 'met'],
    [{ level: 3, mfa: true }, { level: 3 }, 'ERR_POLICY_NOT_MET'],
    [{ role: 'admin' }, { role: 'administrator' }, 'ERR_POLICY_NOT_MET'],
    [{ role: 'admin' }, { role: [['admin']] }, 'ERR_POLICY_NOT_MET'],
    [{ role: 'admin' }, { role: { admin: true } }, 'ERR_POLICY_NOT_MET'],
    [{ role: 'admin' }, { role: null }, 'ERR_POLICY_NOT_MET'],
    [{ role: 'admin' }, {}, 'ERR_POLICY_NOT_MET'],
    [{ level: 3 }, { level: '3' }, 'ERR_POLICY_NOT_MET'],
    [{ mfa: true }, { mfa: 'true' }, 'ERR_POLICY_NOT_MET'],
    [{ mfa: true }, { mfa: 1 }, 'ERR_POLICY_NOT_MET'],
    // Members of Object.prototype are no claims.
    [{ toString: 'x' }, {}, 'ERR_POLICY_NOT_MET'],
  ])('%j with %j: %s', (claims, found, outcome) => {
    expect(outcomeOf({ claims }, found)).toBe(outcome);
  });
});

describe('maxAge', () => {
  test.each([
    [{ auth_time: NOW - 300 }, 'met'],
    [{ auth_time: NOW - 301 }, 'ERR_LOGIN_TOO_OLD'],
    // Rounded toward refusal.
    [{ auth_time: NOW - 300.5 }, 'ERR_LOGIN_TOO_OLD'],
    [{ auth_time: NOW + 5 }, 'met'],
    [{ auth_time: NOW + 6 }, 'ERR_LOGIN_TOO_OLD'],
    [{ auth_time: String(NOW) }, 'ERR_LOGIN_TOO_OLD'],
    [{ auth_time: null }, 'ERR_LOGIN_TOO_OLD'],
    // Without auth_time, the token itself counts.
    [{ iat: NOW - 300 }, 'met'],
    [{ iat: NOW - 301 }, 'ERR_LOGIN_TOO_OLD'],
  ])('5m with %j: %s', (claims, outcome) => {
    expect(outcomeOf({ maxAge: '5m' }, claims)).toBe(outcome);
  });
});

test.each([
  [NOW - 301, 'The login was 301 s ago; expected at most 300 s.'],
  [NOW + 6, 'The login is 6 s in the future; expected at most 5 s.'],
])('the message for the login at %i tells past and future apart', (auth_time, message) => {
  expect(checkPolicy({ ...CLAIMS, auth_time }, { maxAge: 300 }, NOW, 5)?.message).toBe(message);
});

test('every member must be met', () => {
  const policy = { aud: 'orders', scope: ['a'], claims: { role: 'admin' }, maxAge: 100 };
  const claims = { scope: 'a', role: 'admin' };
  expect(outcomeOf(policy, claims)).toBe('met');
  expect(outcomeOf(policy, { ...claims, aud: 'user' })).toBe('ERR_POLICY_NOT_MET');
  expect(outcomeOf(policy, { ...claims, scope: '' })).toBe('ERR_SCOPE_INSUFFICIENT');
  expect(outcomeOf(policy, { ...claims, role: 'user' })).toBe('ERR_POLICY_NOT_MET');
  expect(outcomeOf(policy, { ...claims, iat: NOW - 101 })).toBe('ERR_LOGIN_TOO_OLD');
});

test.each([
  [{}, 'policy demands nothing'],
  [[], 'policy is an array'],
  ['orders', 'policy is a string'],
  [{ scopes: ['a'] }, 'policy has the unknown member scopes; did you mean scope?'],
  [{ aud: [] }, 'policy.aud cannot have this value'],
  [{ aud: '' }, 'policy.aud cannot have this value'],
  [{ scope: [''] }, 'policy.scope cannot have this value'],
  [{ scope: ['a b'] }, 'policy.scope cannot have this value'],
  [{ scope: ['a"b'] }, 'policy.scope cannot have this value'],
  [{ claims: {} }, 'policy.claims cannot have this value'],
  [{ claims: { role: [] } }, 'policy.claims cannot have this value'],
  [{ claims: { role: null } }, 'policy.claims cannot have this value'],
  [{ claims: { id: 2 ** 53 } }, 'policy.claims cannot have this value'],
  [{ maxAge: 0 }, 'policy.maxAge cannot have this value'],
  // YAML reads a member whose list is commented out as null.
  [{ aud: 'shop', scope: null }, 'policy.scope cannot have this value'],
  [{ aud: undefined, scope: 'read' }, 'policy.aud cannot have this value'],
  [{ scope: ['a'], aud: null }, 'policy.aud cannot have this value'],
  [{ aud: 'shop', claims: null }, 'policy.claims cannot have this value'],
  [{ aud: 'shop', maxAge: null }, 'policy.maxAge cannot have this value'],
  [{ maxAge: 'soon' }, 'policy.maxAge cannot have this value'],
])('refuses the policy %j', (policy, message) => {
  expect(() => readRequestPolicy(policy, 'policy')).toThrow(message);
});
