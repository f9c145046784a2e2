import type { RefreshTokenSealer } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import type { IssuerPolicy, TokenRequest } from './token-request.js';

/** What a refresh token holds, to check it and to issue the next access token of its session. */
export interface RefreshTokenContents {
  sub: string;
  family: string;
  /** The position, the key, and the `iat` of the access token that was issued with it. */
  counter: number;
  kid: string;
  iat: number;
  startedAt: number;
  /** The version of the user when the session began: every change of the user's status ends the session. */
  userVersion: number;
  exp: number;
  /** What was requested for the first access token. Null members take the settings at each refresh. */
  request: Pick<TokenRequest, 'aud' | 'ttlSeconds' | 'claims' | 'meta' | 'clientId'>;
}

type LifetimeOfSession = Pick<IssuerPolicy, 'refreshTtlSeconds' | 'refreshMaxAgeSeconds'>;

/** Returns when a session ends, however often it is refreshed. Infinity without `refresh.maxAge`. */
export function endOfSession({ startedAt }: { startedAt: number }, policy: LifetimeOfSession): number {
  return startedAt + (policy.refreshMaxAgeSeconds ?? Number.POSITIVE_INFINITY);
}

/** Returns when the refresh token expires that is issued with an access token of this `iat`. */
export function refreshExpiry(
  session: { startedAt: number },
  iat: number,
  policy: LifetimeOfSession,
): number {
  return Math.min(iat + policy.refreshTtlSeconds, endOfSession(session, policy));
}

export function sealRefreshToken(
  sealer: RefreshTokenSealer,
  contents: RefreshTokenContents,
): Promise<string> {
  const { sub, family, counter, kid, iat, startedAt, userVersion, exp, request } = contents;
  const { aud, ttlSeconds, claims, meta, clientId } = request;
  // Equal contents must give equal text, so the order of the members is part of the format.
  return sealer.seal(
    JSON.stringify({
      ...{ sub, family, counter, kid, iat, startedAt, userVersion, exp },
      request: { aud, ttlSeconds, claims, meta, clientId },
    }),
  );
}

/** @throws JwtctlError `ERR_REFRESH_INVALID` (refused) */
export async function openRefreshToken(
  sealer: RefreshTokenSealer,
  token: string,
): Promise<RefreshTokenContents> {
  const isReadable = typeof token === 'string' && token.length <= MAX_REFRESH_TOKEN_CHARACTERS;
  const contents = isReadable ? await sealer.open(token) : null;
  if (contents === null) {
    throw new JwtctlError('ERR_REFRESH_INVALID', 'The text is not a refresh token of this installation.');
  }
  const parsed = JSON.parse(contents) as RefreshTokenContents;
  // A lower counter would start a session, for which a master key alone is enough.
  if (Number.isSafeInteger(parsed.counter) && parsed.counter >= 0) return parsed;
  throw new JwtctlError('ERR_REFRESH_INVALID', 'The refresh token has an impossible counter.');
}

/** Beyond the longest access token, with room for what only the refresh token has. */
const MAX_REFRESH_TOKEN_CHARACTERS = 32_768;
