import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkClaims, claimsRefusals, validity } from '../../../src/domain/verification/check-claims.js';

const NOW = 1_700_000_000;
const POLICY = { issuer: 'jwtctl', audience: 'user', clockToleranceSeconds: 5 };
const CLAIMS = { iss: 'jwtctl', sub: 'alice', aud: 'user', iat: NOW, exp: NOW + 60, jti: 'j' };

function codeOf(claims: Record<string, unknown>, now = NOW, policy = POLICY): string | null {
  const checked = checkClaims({ ...CLAIMS, ...claims }, policy, now);
  return 'active' in checked ? checked.error.code : null;
}

describe('exp', () => {
  test.each([
    [NOW + 60 + 4, null],
    [NOW + 60 + 5, 'ERR_TOKEN_EXPIRED'],
    [NOW + 60 + 6, 'ERR_TOKEN_EXPIRED'],
  ])('at %i gives %s, because the tolerance is exclusive', (now, code) => {
    expect(codeOf({}, now)).toBe(code);
  });

  test('before iat has expired too', () => {
    expect(codeOf({ exp: NOW - 5, iat: NOW })).toBe('ERR_TOKEN_EXPIRED');
  });
});

describe('nbf and iat', () => {
  test.each(['nbf', 'iat'])('%s may be in the future by at most the tolerance', (claim) => {
    expect(codeOf({ [claim]: NOW + 5 })).toBeNull();
    expect(codeOf({ [claim]: NOW + 6 })).toBe('ERR_TOKEN_NOT_YET_VALID');
  });

  test('are checked for their type before any time is compared', () => {
    expect(codeOf({ exp: NOW - 100, nbf: 'x' })).toBe('ERR_CLAIM_INVALID');
    expect(codeOf({ exp: NOW - 100, iat: null })).toBe('ERR_CLAIM_INVALID');
  });

  test('may be 0', () => {
    expect(codeOf({ iat: 0, nbf: 0 })).toBeNull();
    expect(codeOf({ exp: 0 })).toBe('ERR_TOKEN_EXPIRED');
  });
});

test('validity agrees with checkClaims', () => {
  const near = fc.integer({ min: NOW - 10, max: NOW + 10 });
  const tolerance = fc.integer({ min: 0, max: 8 });
  fc.assert(
    fc.property(
      near,
      fc.option(near, { nil: undefined }),
      near,
      near,
      tolerance,
      (iat, nbf, exp, now, seconds) => {
        const times = { iat, exp, ...(nbf === undefined ? {} : { nbf }) };
        const { validFrom, validUntil } = validity(times, seconds);
        const code = codeOf(times, now, { ...POLICY, clockToleranceSeconds: seconds });
        expect(code === null).toBe(validFrom <= now && now < validUntil);
        if (now >= exp + seconds) expect(code).toBe('ERR_TOKEN_EXPIRED');
        else if (now < iat - seconds || now < (nbf ?? iat) - seconds)
          expect(code).toBe('ERR_TOKEN_NOT_YET_VALID');
        else expect(code).toBeNull();
      },
    ),
  );
});

describe('aud', () => {
  test.each([
    ['user', null],
    [['user'], null],
    [['a', 'user', 'b'], null],
    [['user', 'user'], null],
    ['', 'ERR_AUDIENCE_MISMATCH'],
    ['users', 'ERR_AUDIENCE_MISMATCH'],
    ['USER', 'ERR_AUDIENCE_MISMATCH'],
    [['admin'], 'ERR_AUDIENCE_MISMATCH'],
    [['a user b'], 'ERR_AUDIENCE_MISMATCH'],
  ])('%j gives %s', (aud, code) => {
    expect(codeOf({ aud })).toBe(code);
  });
});

test('returns all claims unchanged', () => {
  const payload = { ...CLAIMS, nbf: NOW, role: 'admin', nested: { a: null } };
  expect(checkClaims(payload, POLICY, NOW)).toEqual({ claims: payload });
});

test('accepts a token from iat and nbf until exp, with the tolerance', () => {
  const seconds = fc.integer({ min: 0, max: 200 });
  fc.assert(
    fc.property(
      fc.record({
        iat: seconds,
        nbf: seconds,
        exp: seconds,
        now: seconds,
        tolerance: fc.integer({ min: 0, max: 20 }),
      }),
      ({ iat, nbf, exp, now, tolerance }) => {
        const isAccepted =
          codeOf({ iat, nbf, exp }, now, { ...POLICY, clockToleranceSeconds: tolerance }) === null;
        expect(isAccepted).toBe(now >= Math.max(iat, nbf) - tolerance && now < exp + tolerance);
      },
    ),
  );
});

test.each([
  [{ sub: 3 }, "The token's sub is a number (3); expected a string."],
  [{ exp: '60' }, "The token's exp is a string; expected a number, a NumericDate in seconds."],
  [{ jti: undefined }, "The token's jti is missing; expected a string of 1 to 255 bytes."],
  [{ aud: ['a', 3] }, "The token's aud is an array; expected a string or an array of strings."],
])('of %j the message names what was found and what was expected', (claims, message) => {
  expect(checkClaims({ ...CLAIMS, ...claims }, POLICY, NOW)).toMatchObject({ error: { message } });
});

describe('claimsRefusals', () => {
  const codesOf = (claims: Record<string, unknown>) =>
    claimsRefusals({ ...CLAIMS, ...claims }, POLICY, NOW).map(({ error }) => error.code);

  test('lists every claim that is refused, each once', () => {
    expect(codesOf({})).toEqual([]);
    expect(codesOf({ exp: NOW - 60, iss: 'x', aud: ['y'], token_use: 'refresh' })).toEqual([
      ...['ERR_TOKEN_EXPIRED', 'ERR_ISSUER_MISMATCH', 'ERR_AUDIENCE_MISMATCH', 'ERR_TOKEN_TYPE_REFUSED'],
    ]);
    expect(codesOf({ exp: 'x', iat: null, nbf: 0, sub: 1, jti: '' })).toEqual(
      Array(4).fill('ERR_CLAIM_INVALID'),
    );
  });

  test('begins with what checkClaims refuses, for any claims', () => {
    const value = fc.oneof(
      fc.constantFrom(undefined, null, 'jwtctl', 'user', 'alice', 'legacy.x', NOW, NOW - 60, NOW + 60, -1),
      fc.anything(),
    );
    const claims = fc.record({
      iss: value,
      sub: value,
      aud: value,
      iat: value,
      exp: value,
      nbf: value,
      jti: value,
    });
    fc.assert(
      fc.property(claims, fc.boolean(), (some, isAlmostValid) => {
        const payload = isAlmostValid ? { ...CLAIMS, jti: some.jti, aud: some.aud } : some;
        const checked = checkClaims(payload, POLICY, NOW);
        const [first] = claimsRefusals(payload, POLICY, NOW);
        expect(first).toEqual('active' in checked ? checked : undefined);
      }),
    );
  });
});
