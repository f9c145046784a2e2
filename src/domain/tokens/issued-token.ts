import { parseJsonObject } from '../jose/jws.js';
import { JwtctlError } from '../shared/errors.js';

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

/**
 * The token of a line: the line as it is, or the member `token` where the line is a JSON object, as a bulk issue prints them.
 *
 * @throws JwtctlError `ERR_LINE_NO_TOKEN` (usage) where it is other JSON
 */
export function tokenOfLine(line: string): string {
  // No token begins so, for base64url has neither.
  if (!/^\s*[[{]/.test(line)) return line;
  const token = parseJsonObject(Buffer.from(line))?.token;
  if (typeof token === 'string') return token;
  throw new JwtctlError(
    'ERR_LINE_NO_TOKEN',
    'The line is neither a token nor a JSON object with the text `token`.',
  );
}
