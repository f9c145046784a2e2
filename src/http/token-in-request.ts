export interface RequestHead {
  headers: { authorization?: string | undefined; cookie?: string | undefined };
  /** Alternating names and values. */
  rawHeaders: readonly string[];
}

/** RFC 6750 §2 forbids more than one token in a request. */
export const AMBIGUOUS = Symbol('more than one token');

/** Returns null without a token, and for other authorization schemes. */
export function requestToken(
  request: RequestHead,
  cookieName: string | null,
): string | null | typeof AMBIGUOUS {
  const { authorization, cookie } = request.headers;
  // Node keeps only the first of several, but a proxy may have checked the last.
  if (authorization !== undefined && isRepeated(request.rawHeaders, 'authorization')) return AMBIGUOUS;
  const bearer = authorization === undefined ? null : bearerToken(authorization);
  if (cookieName === null || cookie === undefined) return bearer;
  const tokens = cookieValues(cookie, cookieName);
  if (tokens.length === 0) return bearer;
  return bearer === null && tokens.length === 1 ? (tokens[0] as string) : AMBIGUOUS;
}

/** Follows RFC 6750 §2.1. The scheme is case-insensitive (RFC 9110 §11.1). The verifier checks the rest. */
function bearerToken(authorization: string): string | null {
  if (authorization.length < 6 || authorization.slice(0, 6).toLowerCase() !== 'bearer') return null;
  if (authorization.length === 6) return '';
  return authorization[6] === ' ' ? trimOws(authorization.slice(7)) : null;
}

/** Returns the scheme of the Authorization header, if it has one in the form of RFC 9110 §11.1 that is safe to log. */
export function otherScheme({ headers: { authorization = '' } }: RequestHead): string | null {
  return /^([A-Za-z][A-Za-z0-9-]{0,19}) /.exec(authorization)?.[1] ?? null;
}

/** Ignores empty cookies, because some applications log out by emptying the cookie. */
function cookieValues(cookie: string, name: string): string[] {
  const values: string[] = [];
  for (const pair of cookie.split(';')) {
    const equals = pair.indexOf('=');
    if (equals === -1 || trimOws(pair.slice(0, equals)) !== name) continue;
    const value = trimOws(pair.slice(equals + 1)).replace(/^"(.*)"$/, '$1');
    if (value !== '') values.push(value);
  }
  return values;
}

/**
 * Removes only OWS (RFC 9110 §5.6.3). For a browser, a no-break space belongs to the cookie's name, so
 * `__Host-session` after one lacks the protection of its prefix.
 */
function trimOws(text: string): string {
  let end = text.length;
  // A regular expression would try again from each space of a long run.
  while (end > 0 && /[ \t]/.test(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end).replace(/^[ \t]+/, '');
}

function isRepeated(rawHeaders: readonly string[], name: string): boolean {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const candidate = rawHeaders[index] as string;
    if (candidate.length === name.length && candidate.toLowerCase() === name) count++;
  }
  return count > 1;
}
