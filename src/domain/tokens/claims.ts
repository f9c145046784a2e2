import { isJti } from '../model/jti.js';
import { type Refusal, refuse } from '../model/refusal.js';
import { subjectFault } from '../model/subject.js';
import { describeClaim } from '../shared/describe-value.js';

export interface ClaimsPolicy {
  /** The accepted `iss`. */
  issuer: string;
  /** Must be in `aud`. */
  audience: string;
  /** How far the clocks of issuer and verifier may differ. */
  clockToleranceSeconds: number;
}

/** A valid Claims Set (RFC 7519 §4). Times are NumericDate seconds. */
export interface Claims {
  iss: string;
  sub: string;
  aud: string | string[];
  exp: number;
  iat: number;
  jti: string;
  nbf?: number;
  [claim: string]: unknown;
}

export const REGISTERED_CLAIMS = ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti'] as const;

export function checkClaims(
  payload: Record<string, unknown>,
  policy: ClaimsPolicy,
  now: number,
): { claims: Claims } | Refusal {
  const { clockToleranceSeconds: tolerance, issuer, audience } = policy;
  const { exp, nbf, iat, iss, aud, sub, jti } = payload;

  if (!isNumericDate(exp)) return invalid('exp', exp, 'a NumericDate in whole seconds');
  if (nbf !== undefined && !isNumericDate(nbf)) return invalid('nbf', nbf, 'a NumericDate in whole seconds');
  if (!isNumericDate(iat)) return invalid('iat', iat, 'a NumericDate in whole seconds');
  const { validFrom, validUntil } = validity({ iat, exp, ...(nbf === undefined ? {} : { nbf }) }, tolerance);
  // Negated, so that NaN is refused.
  if (!(now < validUntil)) {
    return refuse('ERR_TOKEN_EXPIRED', `The token expired ${now - exp} s ago (exp ${exp}).`);
  }
  if (!(now >= validFrom)) {
    const why =
      nbf !== undefined && nbf > iat
        ? `The token is not valid for another ${nbf - now} s (nbf ${nbf}).`
        : `The token was issued ${iat - now} s in the future (iat ${iat}). Check the clocks.`;
    return refuse('ERR_TOKEN_NOT_YET_VALID', why);
  }

  if (typeof iss !== 'string') return invalid('iss', iss, 'a string');
  if (iss !== issuer) return refuse('ERR_ISSUER_MISMATCH', `The token's iss is not '${issuer}'.`);
  if (!isAudience(aud)) return invalid('aud', aud, 'a string or an array of strings');
  if (!(typeof aud === 'string' ? aud === audience : aud.includes(audience))) {
    return refuse('ERR_AUDIENCE_MISMATCH', `The token's aud does not contain '${audience}'.`);
  }

  if (typeof sub !== 'string' || subjectFault(sub) !== null)
    return invalid('sub', sub, 'a subject of 1 to 255 bytes');
  if (!isJti(jti)) return invalid('jti', jti, 'a string of 1 to 255 bytes');
  return { claims: payload as Claims };
}

/** `validUntil` is exclusive (RFC 7519 §4.1.4). Both include the tolerance. */
export function validity(
  { iat, nbf = iat, exp }: Pick<Claims, 'iat' | 'nbf' | 'exp'>,
  clockToleranceSeconds: number,
): { validFrom: number; validUntil: number } {
  return { validFrom: Math.max(iat, nbf) - clockToleranceSeconds, validUntil: exp + clockToleranceSeconds };
}

function invalid(claim: string, value: unknown, expected: string): Refusal {
  return refuse(
    'ERR_CLAIM_INVALID',
    `The token's ${claim} is ${describeClaim(value)}; expected ${expected}.`,
  );
}

function isNumericDate(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isAudience(value: unknown): value is string | string[] {
  return (
    typeof value === 'string' || (Array.isArray(value) && value.every((item) => typeof item === 'string'))
  );
}
