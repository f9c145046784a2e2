import type { User, UserDirectory } from '../ports/index.js';
import { typeName } from '../shared/describe-value.js';
import { JwtctlError } from '../shared/errors.js';
import { isNumericDate, looksLikeMilliseconds } from '../verification/check-claims.js';
import { checkClaimedType } from '../verification/token-type.js';
import type { IssuerPolicy } from './token-request.js';

/** @throws JwtctlError `ERR_USER_UNKNOWN`, `ERR_USER_DISABLED`, or why the directory has no such user */
export function requireEnabled(user: User | undefined, sub: string, users: UserDirectory): User {
  if (user === undefined) {
    throw (
      users.missing?.(sub) ?? new JwtctlError('ERR_USER_UNKNOWN', `There is no user ${JSON.stringify(sub)}.`)
    );
  }
  if (user.status === 'enabled') return user;
  throw new JwtctlError('ERR_USER_DISABLED', `The user ${JSON.stringify(sub)} is disabled.`);
}

/**
 * Returns the claims that a new token gets from the user's row (`users.claims`).
 * @throws JwtctlError `ERR_USER_CLAIM_INVALID` (state) if a column cannot be read, or its value has another type than
 * verifiers expect, or says that the token is not an access token
 */
export function claimsOf(
  { sub, claims }: User,
  { acceptTypes }: Pick<IssuerPolicy, 'acceptTypes'>,
): Readonly<Record<string, unknown>> | undefined {
  if (claims === undefined) return undefined;
  if (claims instanceof JwtctlError) throw claims;
  const refusal = checkClaimedType(claims, acceptTypes);
  if (refusal !== null) throw invalid(sub, refusal.error.message);
  for (const [claim, { isValid, expected }] of Object.entries(INTERPRETED)) {
    if (!Object.hasOwn(claims, claim) || isValid(claims[claim])) continue;
    throw invalid(sub, `The claim ${claim} is ${found(claim, claims[claim])}; expected ${expected}.`);
  }
  return claims;
}

const SCOPES = {
  isValid: (value: unknown) =>
    typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string')),
  expected: 'a string or an array of strings',
};

/** Claims that policies read. Another type would be taken for a missing claim. */
const INTERPRETED = {
  scope: SCOPES,
  scp: SCOPES,
  auth_time: {
    isValid: (value: unknown) => isNumericDate(value) && !looksLikeMilliseconds(value),
    expected: 'a NumericDate in seconds',
  },
};

function found(claim: string, value: unknown): string {
  const isTooLarge = claim === 'auth_time' && looksLikeMilliseconds(value);
  return isTooLarge ? `${value}, which looks like milliseconds` : typeName(value);
}

function invalid(sub: string, problem: string): JwtctlError {
  const message = `A column of users.claims does not fit its claim for the user ${JSON.stringify(sub)}. ${problem}`;
  return new JwtctlError('ERR_USER_CLAIM_INVALID', message);
}
