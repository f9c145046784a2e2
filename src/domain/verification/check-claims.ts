import { isJti } from '../model/jti.js';
import { isLegacyId } from '../model/legacy-id.js';
import { type Refusal, refuse } from '../model/refusal-codes.js';
import { subjectFault } from '../model/subject.js';
import { describeClaim } from '../shared/describe-value.js';
import { checkClaimedType } from './token-type.js';

export interface ClaimsPolicy {
  /** The accepted `iss`. */
  issuer: string;
  /** Must be in `aud`. */
  audience: string;
  /** How far the clocks of issuer and verifier may differ. */
  clockToleranceSeconds: number;
  /** The accepted `typ` headers, and types of other tokens in claims such as `token_use`. Default: `JWT` and `at+jwt` */
  acceptTypes?: readonly string[] | undefined;
}

/** The claims of an accepted token. Times are NumericDate seconds, integers. */
export interface AcceptedClaims {
  /** Missing in some tokens that were registered with `--legacy`. */
  iss?: string;
  sub: string;
  /** Missing in some tokens that were registered with `--legacy`. */
  aud?: string | string[];
  exp: number;
  /** For a token without `iat`, the time of its registration. */
  iat: number;
  /** For a token registered with `--legacy`, its registry ID. */
  jti: string;
  nbf?: number;
  [claim: string]: unknown;
}

/** A valid Claims Set (RFC 7519 §4). */
export interface Claims extends AcceptedClaims {
  iss: string;
  aud: string | string[];
}

export const REGISTERED_CLAIMS = ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti'] as const;

/** The claims that jwtctl sets. */
export const RESERVED_CLAIMS = [...REGISTERED_CLAIMS, 'act'] as const;

/** Returns the claims with times in whole seconds: `exp` rounded down, `nbf` and `iat` rounded up. */
export function checkClaims(
  payload: Record<string, unknown>,
  policy: ClaimsPolicy,
  now: number,
): { claims: Claims } | Refusal {
  const refusal =
    claimsRefusal(payload, { mayLack: false }, policy, now) ?? checkClaimedType(payload, policy.acceptTypes);
  if (refusal !== null) return refusal;
  const { jti } = payload;
  if (!isJti(jti)) return invalid('jti', jti, 'a string of 1 to 255 bytes');
  if (isLegacyId(jti))
    return invalid('jti', jti, 'a jti that does not look like the registry ID of a legacy token');
  return { claims: inWholeSeconds(payload) as Claims };
}

/** A Claims Set that may lack what jwtctl puts into every token. Times are NumericDate seconds. */
export interface LegacyClaims {
  /** An integer `sub` is written in decimal. */
  sub: string;
  exp: number;
  iat: number | null;
  nbf: number | null;
  aud: string | string[] | null;
}

/** Like {@link checkClaims}, but `iat`, `iss`, and `aud` may be missing or null, and `sub` may be an integer. */
export function checkLegacyClaims(
  payload: Record<string, unknown>,
  policy: ClaimsPolicy,
  now: number,
): { claims: LegacyClaims } | Refusal {
  const { exp, nbf, iat, iss, aud, sub } = legacyForm(payload);
  const refusal =
    claimsRefusal({ exp, nbf, iat, iss, aud, sub }, { mayLack: true }, policy, now) ??
    checkClaimedType(payload, policy.acceptTypes);
  if (refusal !== null) return refusal;
  const claims: LegacyClaims = {
    sub: sub as string,
    exp: Math.floor(exp as number),
    iat: iat === undefined ? null : Math.ceil(iat as number),
    nbf: nbf === undefined ? null : Math.ceil(nbf as number),
    aud: (aud as string | string[] | undefined) ?? null,
  };
  return { claims };
}

/**
 * Returns what {@link checkClaims} refuses, without stopping at the first.
 * @param options.isLegacy whether to return what {@link checkLegacyClaims} refuses. Default: false
 */
export function claimsRefusals(
  payload: Record<string, unknown>,
  policy: ClaimsPolicy,
  now: number,
  { isLegacy = false } = {},
): Refusal[] {
  const { exp, nbf, iat, iss, aud, sub } = isLegacy ? legacyForm(payload) : payload;
  const lacks = (value: unknown) => isLegacy && value === undefined;
  const dates = [
    dateRefusal('exp', exp),
    nbf === undefined ? null : dateRefusal('nbf', nbf),
    lacks(iat) ? null : dateRefusal('iat', iat),
  ];
  const areDates = dates.every((refusal) => refusal === null);
  const first = (isLegacy ? checkLegacyClaims : checkClaims)(payload, policy, now);
  const all = [
    // First, so that this list is never empty where the check refuses.
    'active' in first ? first : null,
    ...dates,
    areDates
      ? timesRefusal(exp as number, nbf as number | undefined, iat as number | undefined, policy, now)
      : null,
    lacks(iss) ? null : issuerRefusal(iss, policy),
    lacks(aud) ? null : audienceRefusal(aud, policy),
    subjectRefusal(sub),
    checkClaimedType(payload, policy.acceptTypes),
    isLegacy || isJti(payload.jti) ? null : invalid('jti', payload.jti, 'a string of 1 to 255 bytes'),
  ].filter((refusal) => refusal !== null);
  const messages = new Set<string>();
  return all.filter(({ error }) => !messages.has(error.message) && messages.add(error.message));
}

/** @param options.mayLack whether `iat`, `iss`, and `aud` may be undefined, as `nbf` always may */
function claimsRefusal(
  { exp, nbf, iat, iss, aud, sub }: Record<string, unknown>,
  { mayLack }: { mayLack: boolean },
  policy: ClaimsPolicy,
  now: number,
): Refusal | null {
  const lacks = (value: unknown) => mayLack && value === undefined;
  return (
    dateRefusal('exp', exp) ??
    (nbf === undefined ? null : dateRefusal('nbf', nbf)) ??
    (lacks(iat) ? null : dateRefusal('iat', iat)) ??
    timesRefusal(exp as number, nbf as number | undefined, iat as number | undefined, policy, now) ??
    (lacks(iss) ? null : issuerRefusal(iss, policy)) ??
    (lacks(aud) ? null : audienceRefusal(aud, policy)) ??
    subjectRefusal(sub)
  );
}

/** Returns the claims of a legacy token, undefined instead of null. */
function legacyForm({ exp, nbf, iat, iss, aud, sub }: Record<string, unknown>): Record<string, unknown> {
  const optional = {
    nbf: nbf ?? undefined,
    iat: iat ?? undefined,
    iss: iss ?? undefined,
    aud: aud ?? undefined,
  };
  return { ...optional, exp, sub: legacySubject(sub) };
}

/** Writes an integer `sub` in decimal. */
export function legacySubject(sub: unknown): unknown {
  return Number.isSafeInteger(sub) ? String(sub) : sub;
}

/** Whether a Claims Set lacks nothing that a legacy token may lack. */
export function isComplete({ iss, sub, aud, iat, jti }: Record<string, unknown>): boolean {
  const hasAll = [iss, aud, iat].every((value) => value !== undefined && value !== null);
  return hasAll && isJti(jti) && !Number.isSafeInteger(sub);
}

/**
 * `validUntil` is exclusive (RFC 7519 §4.1.4). Both include the tolerance. Fractions are rounded toward
 * refusal (RFC 7519 §2).
 */
export function validity(
  { iat = 0, nbf = iat, exp }: { iat?: number | undefined; nbf?: number | undefined; exp: number },
  clockToleranceSeconds: number,
): { validFrom: number; validUntil: number } {
  return {
    validFrom: Math.ceil(Math.max(iat, nbf)) - clockToleranceSeconds,
    validUntil: Math.floor(exp) + clockToleranceSeconds,
  };
}

function dateRefusal(claim: 'exp' | 'nbf' | 'iat', value: unknown): Refusal | null {
  if (typeof value === 'string') {
    const message = `The token's ${claim} is a string; expected a number, a NumericDate in seconds.`;
    return refuse('ERR_CLAIM_INVALID', message);
  }
  if (!isNumericDate(value)) return invalid(claim, value, 'a NumericDate in seconds');
  return !looksLikeMilliseconds(value)
    ? null
    : refuse(
        'ERR_CLAIM_INVALID',
        `The token's ${claim} is ${value}, which looks like milliseconds; expected seconds.`,
      );
}

export function looksLikeMilliseconds(value: unknown): boolean {
  return isNumericDate(value) && value >= FIRST_MILLISECONDS;
}

/** As seconds, this is the year 5138; as milliseconds, 1973. */
const FIRST_MILLISECONDS = 100_000_000_000;

function timesRefusal(
  exp: number,
  nbf: number | undefined,
  iat: number | undefined,
  { clockToleranceSeconds }: ClaimsPolicy,
  now: number,
): Refusal | null {
  const { validFrom, validUntil } = validity({ exp, nbf, iat }, clockToleranceSeconds);
  // Negated, so that NaN is refused.
  if (!(now < validUntil)) {
    return refuse('ERR_TOKEN_EXPIRED', `The token expired ${now - Math.floor(exp)} s ago (exp ${exp}).`);
  }
  if (now >= validFrom) return null;
  const why =
    nbf !== undefined && nbf > (iat ?? 0)
      ? `The token is not valid for another ${Math.ceil(nbf) - now} s (nbf ${nbf}).`
      : `The token was issued ${Math.ceil(iat ?? 0) - now} s in the future (iat ${iat}). Check the clocks.`;
  return refuse('ERR_TOKEN_NOT_YET_VALID', why);
}

function issuerRefusal(iss: unknown, { issuer }: ClaimsPolicy): Refusal | null {
  if (typeof iss !== 'string') return invalid('iss', iss, 'a string');
  return iss === issuer ? null : refuse('ERR_ISSUER_MISMATCH', `The token's iss is not '${issuer}'.`);
}

function audienceRefusal(aud: unknown, { audience }: ClaimsPolicy): Refusal | null {
  if (!isAudience(aud)) return invalid('aud', aud, 'a string or an array of strings');
  if (typeof aud === 'string' ? aud === audience : aud.includes(audience)) return null;
  return refuse('ERR_AUDIENCE_MISMATCH', `The token's aud does not contain '${audience}'.`);
}

function subjectRefusal(sub: unknown): Refusal | null {
  if (typeof sub !== 'string') return invalid('sub', sub, 'a string');
  return subjectFault(sub) === null ? null : invalid('sub', sub, 'a subject of 1 to 255 bytes');
}

/** Returns the same object if all times are integers, as almost always. */
function inWholeSeconds(payload: Record<string, unknown>): Record<string, unknown> {
  const { exp, nbf, iat } = payload as { exp: number; nbf?: number; iat: number };
  if (Number.isInteger(exp) && Number.isInteger(iat) && (nbf === undefined || Number.isInteger(nbf)))
    return payload;
  const whole = { ...payload, exp: Math.floor(exp), iat: Math.ceil(iat) };
  return nbf === undefined ? whole : { ...whole, nbf: Math.ceil(nbf) };
}

function invalid(claim: string, value: unknown, expected: string): Refusal {
  return refuse(
    'ERR_CLAIM_INVALID',
    `The token's ${claim} is ${describeClaim(value)}; expected ${expected}.`,
  );
}

export function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

function isAudience(value: unknown): value is string | string[] {
  return (
    typeof value === 'string' || (Array.isArray(value) && value.every((item) => typeof item === 'string'))
  );
}
