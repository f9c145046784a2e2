/** A token that is signed and registered. Times are NumericDate seconds. */
export interface IssuedToken {
  token: string;
  jti: string;
  kid: string;
  sub: string;
  aud: string | string[];
  iat: number;
  exp: number;
}
