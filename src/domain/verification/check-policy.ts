import type { ErrorCode } from '../shared/errors.js';
import { excerpt } from '../shared/text.js';
import type { AcceptedClaims } from './check-claims.js';
import type { RequestPolicy } from './request-policy.js';

/** What an accepted token lacks. The message has no value of the token. */
export interface Shortfall {
  code: Extract<ErrorCode, 'ERR_POLICY_NOT_MET' | 'ERR_SCOPE_INSUFFICIENT' | 'ERR_LOGIN_TOO_OLD'>;
  message: string;
}

/**
 * Checks the claims of a token that passed the four checks.
 * @param claims with the `iat` 0 if the token has none of its own
 */
export function checkPolicy(
  claims: AcceptedClaims,
  policy: RequestPolicy,
  now: number,
  clockToleranceSeconds: number,
): Shortfall | null {
  return (
    audienceShortfall(claims, policy) ??
    scopeShortfall(claims, policy) ??
    claimShortfall(claims, policy) ??
    ageShortfall(claims, policy, now, clockToleranceSeconds)
  );
}

function audienceShortfall(claims: AcceptedClaims, { aud }: RequestPolicy): Shortfall | null {
  if (aud === undefined || [claims.aud ?? []].flat().some((audience) => aud.includes(audience))) return null;
  return notMet(`The token's aud contains none of ${named(aud)}.`);
}

function scopeShortfall(claims: AcceptedClaims, { scope = [] }: RequestPolicy): Shortfall | null {
  const granted = new Set([...scopesIn(claims, 'scope'), ...scopesIn(claims, 'scp')]);
  const missing = scope.filter((name) => !granted.has(name));
  if (missing.length === 0) return null;
  return { code: 'ERR_SCOPE_INSUFFICIENT', message: `The token lacks the scope ${named(missing)}.` };
}

/** A text separated by spaces (RFC 9068 §2.2.3), or an array, as some issuers write it. */
function scopesIn(claims: AcceptedClaims, claim: 'scope' | 'scp'): string[] {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  if (typeof value === 'string') return value.split(' ');
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function claimShortfall(claims: AcceptedClaims, policy: RequestPolicy): Shortfall | null {
  for (const [claim, accepted] of Object.entries(policy.claims ?? {})) {
    const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
    const found: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (!accepted.some((one) => found.includes(one)))
      return notMet(`The token's claim ${excerpt(claim)} is not ${named(accepted)}.`);
  }
  return null;
}

/** Compares with `auth_time` (OpenID Connect Core §2), or with `iat` if the token has none. */
function ageShortfall(
  claims: AcceptedClaims,
  { maxAge }: RequestPolicy,
  now: number,
  clockToleranceSeconds: number,
): Shortfall | null {
  if (maxAge === undefined) return null;
  const since = Object.hasOwn(claims, 'auth_time') ? claims.auth_time : claims.iat;
  const age = typeof since === 'number' ? now - Math.floor(since) : Number.NaN;
  // A time in the future would make the login too recent for long. NaN is refused too.
  if (age <= maxAge && age >= -clockToleranceSeconds) return null;
  return { code: 'ERR_LOGIN_TOO_OLD', message: ageMessage(age, maxAge, clockToleranceSeconds) };
}

function ageMessage(age: number, maxAge: number, tolerance: number): string {
  if (Number.isNaN(age)) return "The token's auth_time is not a NumericDate.";
  return age < 0
    ? `The login is ${-age} s in the future; expected at most ${tolerance} s.`
    : `The login was ${age} s ago; expected at most ${maxAge} s.`;
}

function notMet(message: string): Shortfall {
  return { code: 'ERR_POLICY_NOT_MET', message };
}

function named(values: readonly unknown[]): string {
  return values.map((value) => excerpt(String(value))).join(', ');
}
