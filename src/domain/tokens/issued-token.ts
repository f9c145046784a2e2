/** A signed and registered token. Times are NumericDate seconds. */
export interface IssuedToken {
  token: string;
  jti: string;
  kid: string;
  sub: string;
  aud: string | string[];
  iat: number;
  exp: number;
  /** With {@link TokenRequest.refresh}. Each use replaces it. */
  refreshToken?: string;
  refreshExp?: number;
  /** The claim `scope` of a session, its scopes separated by spaces. Only if the token has it. */
  scope?: string;
}
