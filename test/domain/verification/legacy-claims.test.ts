import { expect, test } from 'vitest';
import { checkClaims, checkLegacyClaims } from '../../../src/domain/verification/check-claims.js';

const NOW = 1_700_000_000;
const POLICY = { issuer: 'jwtctl', audience: 'user', clockToleranceSeconds: 0 };
const CLAIMS = { iss: 'jwtctl', sub: 'alice', aud: 'user', iat: NOW, exp: NOW + 60, jti: 'j' };

function codeOf(claims: Record<string, unknown>, now = NOW): string | null {
  const checked = checkClaims({ ...CLAIMS, ...claims }, POLICY, now);
  return 'active' in checked ? checked.error.code : null;
}

test('fractional times are rounded toward refusal', () => {
  expect(codeOf({ exp: NOW + 0.999 })).toBe('ERR_TOKEN_EXPIRED');
  expect(codeOf({ exp: NOW + 1.001 })).toBeNull();
  expect(codeOf({ iat: NOW + 0.001 })).toBe('ERR_TOKEN_NOT_YET_VALID');
  expect(codeOf({ nbf: NOW + 0.001 })).toBe('ERR_TOKEN_NOT_YET_VALID');
  expect(codeOf({ nbf: NOW + 0.001 }, NOW + 1)).toBeNull();
});

test('the claims of an accepted token have whole seconds', () => {
  const payload = { ...CLAIMS, iat: NOW - 0.5, nbf: NOW - 1.5, exp: NOW + 60.5 };
  expect(checkClaims(payload, POLICY, NOW)).toEqual({
    claims: { ...CLAIMS, iat: NOW, nbf: NOW - 1, exp: NOW + 60 },
  });
});

test.each(['exp', 'nbf', 'iat'])('%s in milliseconds is named as such', (claim) => {
  const message = `The token's ${claim} is 1796006897000, which looks like milliseconds; expected seconds.`;
  for (const check of [checkClaims, checkLegacyClaims]) {
    expect(check({ ...CLAIMS, [claim]: 1_796_006_897_000 }, POLICY, NOW)).toMatchObject({
      error: { code: 'ERR_CLAIM_INVALID', message },
    });
  }
});

test.each(['exp', 'nbf', 'iat'])('%s as text is named as such', (claim) => {
  for (const check of [checkClaims, checkLegacyClaims]) {
    expect(check({ ...CLAIMS, [claim]: '1796006897' }, POLICY, NOW)).toMatchObject({
      error: {
        code: 'ERR_CLAIM_INVALID',
        message: `The token's ${claim} is a string; expected a number, a NumericDate in seconds.`,
      },
    });
  }
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, -1, -0.5, 2 ** 53, '60', true, [60]])(
  'an exp of %s is invalid',
  (exp) => {
    expect(codeOf({ exp })).toBe('ERR_CLAIM_INVALID');
  },
);

test('a jti of the form of a legacy id is refused, because it would name the entry of another token', () => {
  expect(codeOf({ jti: `legacy.${'A'.repeat(43)}` })).toBe('ERR_CLAIM_INVALID');
  expect(codeOf({ jti: `legacy.${'A'.repeat(42)}` })).toBeNull();
});

test('a legacy token needs only exp and sub', () => {
  expect(checkLegacyClaims({ sub: 3, exp: NOW + 1.5 }, POLICY, NOW)).toEqual({
    claims: { sub: '3', exp: NOW + 1, iat: null, nbf: null, aud: null },
  });
});

test.each([
  [{ iss: 'other' }, 'ERR_ISSUER_MISMATCH'],
  [{ iss: 3 }, 'ERR_CLAIM_INVALID'],
  [{ aud: ['other'] }, 'ERR_AUDIENCE_MISMATCH'],
  [{ iat: NOW + 1 }, 'ERR_TOKEN_NOT_YET_VALID'],
  [{ nbf: NOW + 1 }, 'ERR_TOKEN_NOT_YET_VALID'],
  [{ exp: NOW }, 'ERR_TOKEN_EXPIRED'],
  [{ exp: undefined }, 'ERR_CLAIM_INVALID'],
  [{ sub: '' }, 'ERR_CLAIM_INVALID'],
  [{ sub: 2 ** 53 }, 'ERR_CLAIM_INVALID'],
])('a legacy token with %j is refused', (claims, code) => {
  const payload = { sub: 'alice', exp: NOW + 60, ...claims };
  expect(checkLegacyClaims(payload, POLICY, NOW)).toMatchObject({ error: { code } });
});
