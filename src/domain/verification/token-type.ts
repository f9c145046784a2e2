import { type Refusal, refuse } from '../model/refusal-codes.js';
import { describeClaim } from '../shared/describe-value.js';

/** What verification accepts by default. */
export const ACCEPTED_TYPES: readonly string[] = ['JWT', 'at+jwt'];

/** Checks the `typ` of a JOSE Header. It is optional (RFC 7519 §5.1). */
export function checkType(
  { typ }: Record<string, unknown>,
  accepted: readonly string[] = ACCEPTED_TYPES,
): Refusal | null {
  if (typ === undefined || (typeof typ === 'string' && isAcceptedType(typ, accepted))) return null;
  const found = typeof typ === 'string' && isTypeName(typ) ? typ : describeClaim(typ);
  return refuse(
    'ERR_TOKEN_TYPE_REFUSED',
    `The typ of the JOSE Header is ${found}; expected one of ${accepted.join(', ')}.`,
  );
}

export function isAcceptedType(typ: string, accepted: readonly string[]): boolean {
  return accepted.includes(typ) || accepted.some((type) => mediaType(type) === mediaType(typ));
}

/** Media types are case-insensitive, and `at+jwt` is short for `application/at+jwt` (RFC 7515 §4.1.9). */
function mediaType(typ: string): string {
  const name = typ.toLowerCase();
  return name.includes('/') ? name : `application/${name}`;
}

/** A text that is safe to print. */
function isTypeName(typ: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9+./-]{0,39}$/.test(typ);
}

/**
 * Refuses a token whose claims say that it is not an access token. Libraries and identity providers write that into different
 * claims. Verifiers check it too, because a client that can write to Redis can register any token of a trusted key.
 */
export function checkClaimedType(
  payload: Record<string, unknown>,
  accepted: readonly string[] = ACCEPTED_TYPES,
): Refusal | null {
  for (const claim of TYPE_CLAIMS) {
    const value = payload[claim];
    if (typeof value !== 'string') continue;
    const name = plain(value);
    const found = OTHER_TYPES.get(name);
    // `refresh_token` as a grant type says how the token was requested, not what it is.
    if (found === undefined || (claim === 'grant_type' && value === 'refresh_token')) continue;
    if (accepted.some((type) => plain(type) === name)) continue;
    return refuse(
      'ERR_TOKEN_TYPE_REFUSED',
      `The token's ${claim} says that it is ${found}, and token.acceptTypes does not have ${name}.`,
    );
  }
  return null;
}

const TYPE_CLAIMS = [
  'type',
  'typ',
  'token_type',
  'tokenType',
  'token_use',
  'tokenUse',
  'grant_type',
] as const;

/** `refresh_token`, `Refresh-Token`, and `application/refresh+jwt` become `refresh`. */
function plain(value: string): string {
  return value
    .toLowerCase()
    .replace(/^application\//, '')
    .replace(/\+jwt$/, '')
    .replace(/[-_ ]?token$/, '');
}

const OTHER_TYPES: ReadonlyMap<string, string> = new Map([
  ['refresh', 'a refresh token'],
  ['rt', 'a refresh token'],
  // Keycloak's refresh tokens that outlive the session.
  ['offline', 'a refresh token'],
  ['id', 'an ID token'],
  ['logout', 'a logout token'],
]);
