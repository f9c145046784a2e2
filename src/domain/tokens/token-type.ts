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

export type OtherTokenType = 'refresh token' | 'ID token';

/**
 * Returns what the token says that it is, if that is not an access token. Libraries and identity providers
 * write it into different claims, or into the `typ` of the JOSE Header.
 */
export function otherTokenType(
  header: Record<string, unknown>,
  payload: Record<string, unknown>,
): OtherTokenType | null {
  const { type, typ, token_type: tokenType, token_use: tokenUse, grant_type: grantType } = payload;
  // `refresh_token` as a grant type says how the token was requested, not what it is.
  const grant = grantType === 'refresh_token' ? null : grantType;
  for (const value of [header.typ, type, typ, tokenType, tokenUse, grant]) {
    const found = typeof value === 'string' ? TYPES.get(plain(value)) : undefined;
    if (found !== undefined) return found;
  }
  return null;
}

/** `refresh_token`, `Refresh-Token`, and `application/refresh+jwt` become `refresh`. */
function plain(value: string): string {
  return value
    .toLowerCase()
    .replace(/^application\//, '')
    .replace(/\+jwt$/, '')
    .replace(/[-_ ]?token$/, '');
}

const TYPES: ReadonlyMap<string, OtherTokenType> = new Map([
  ['refresh', 'refresh token'],
  ['rt', 'refresh token'],
  // Keycloak's refresh tokens that outlive the session.
  ['offline', 'refresh token'],
  ['id', 'ID token'],
]);
