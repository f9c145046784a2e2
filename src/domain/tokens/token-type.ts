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
