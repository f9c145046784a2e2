/** What a token is taken from: Node's own request has it, and so have those of Express and Fastify. */
export interface RequestHead {
  headers: { authorization?: string | undefined; cookie?: string | undefined };
  /** Names and values in turn, as they came. */
  rawHeaders: readonly string[];
}

/** More than one token: which of them counts would be anyone's guess (RFC 6750 §2). */
export const AMBIGUOUS = Symbol('more than one token');

/**
 * The token of a request: from `Authorization: Bearer`, or from the cookie where one is named.
 *
 * @returns null where there is none; an `Authorization` of another scheme holds none
 */
export function requestToken(
  request: RequestHead,
  cookieName: string | null,
): string | null | typeof AMBIGUOUS {
  const { authorization, cookie } = request.headers;
  // Node keeps the first of several and hides the others; a proxy may have looked at the last.
  if (authorization !== undefined && isRepeated(request.rawHeaders, 'authorization')) return AMBIGUOUS;
  const bearer = authorization === undefined ? null : bearerToken(authorization);
  if (cookieName === null || cookie === undefined) return bearer;
  const tokens = cookieValues(cookie, cookieName);
  if (tokens.length === 0) return bearer;
  return bearer === null && tokens.length === 1 ? (tokens[0] as string) : AMBIGUOUS;
}

/** RFC 6750 §2.1; a scheme's case does not matter (RFC 9110 §11.1). What follows it is for the verifier to judge. */
function bearerToken(authorization: string): string | null {
  if (authorization.length < 6 || authorization.slice(0, 6).toLowerCase() !== 'bearer') return null;
  if (authorization.length === 6) return '';
  return authorization[6] === ' ' ? trimmed(authorization.slice(7)) : null;
}

/** Those that are not empty: an empty cookie is how some applications log out. */
function cookieValues(cookie: string, name: string): string[] {
  const values: string[] = [];
  for (const pair of cookie.split(';')) {
    const equals = pair.indexOf('=');
    if (equals === -1 || trimmed(pair.slice(0, equals)) !== name) continue;
    const value = trimmed(pair.slice(equals + 1)).replace(/^"(.*)"$/, '$1');
    if (value !== '') values.push(value);
  }
  return values;
}

/**
 * Removes surrounding spaces and tabs (OWS, RFC 9110 §5.6.3), and nothing else. For a browser, a no-break space belongs to the
 * cookie's name, so `__Host-session` after a no-break space lacks the protection of its prefix.
 */
function trimmed(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}

function isRepeated(rawHeaders: readonly string[], name: string): boolean {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const candidate = rawHeaders[index] as string;
    if (candidate.length === name.length && candidate.toLowerCase() === name) count++;
  }
  return count > 1;
}
