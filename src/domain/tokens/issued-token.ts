import { parseJsonObject } from '../jose/jws.js';
import { JwtctlError } from '../shared/errors.js';

/** A signed and registered token. Times are NumericDate seconds. */
export interface IssuedToken {
  token: string;
  jti: string;
  kid: string;
  sub: string;
  aud: string | string[];
  iat: number;
  exp: number;
}

/** Returns the line, or the member `token` if it is a JSON object. @throws JwtctlError `ERR_LINE_NO_TOKEN` */
export function tokenOfLine(line: string): string {
  if (!/^\s*[[{]/.test(line)) return line;
  const token = parseJsonObject(Buffer.from(line))?.token;
  if (typeof token === 'string') return token;
  throw new JwtctlError(
    'ERR_LINE_NO_TOKEN',
    'The line is neither a token nor a JSON object with a string `token`.',
  );
}
