import type { Clock, RefreshTokenSealer } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import type { Draft } from './issue-drafts.js';
import { openRefreshToken, type RefreshTokenContents, refreshExpiry } from './refresh-token.js';
import { clientMissing, type IssuerPolicy } from './token-request.js';

/** A refresh token, and the client that presents it. */
export interface RefreshTokenUse {
  refreshToken: string;
  clientId?: string | undefined;
  /** The audiences that the client may use. Without it, all. */
  audiences?: ReadonlySet<string> | undefined;
  /** The scopes of the next access token, separated by spaces. Without it, those of the session. */
  scope?: string | undefined;
  /** The name in the audit log if this use ends the session. Default: the actor of the issuer */
  actor?: string | undefined;
}

/** Returns the draft of the next access token, or why there is none. */
export async function openUse(
  { refreshTokens, clock }: { refreshTokens: RefreshTokenSealer; clock: Pick<Clock, 'now'> },
  policy: IssuerPolicy,
  use: RefreshTokenUse,
): Promise<Omit<Draft, 'index'> | JwtctlError> {
  try {
    const last = await openRefreshToken(refreshTokens, use.refreshToken);
    assertOwn(last, policy, use);
    if (clock.now() >= Math.min(last.exp, refreshExpiry(last, last.iat, policy)))
      throw new JwtctlError('ERR_REFRESH_EXPIRED', 'The refresh token has expired.');
    const { sub, request } = last;
    const ttlSeconds =
      request.ttlSeconds === undefined ? undefined : Math.min(request.ttlSeconds, policy.maxTtlSeconds);
    return {
      request: { ...request, ...clientOf(request, policy, use), sub, ttlSeconds, refresh: true },
      ...{ last, scope: use.scope, actor: use.actor },
    };
  } catch (error) {
    // An error about one refresh token, even about its master key, must not fail the others of a batch.
    if (!(error instanceof JwtctlError)) throw error;
    return error;
  }
}

/** The refresh token of another client, or for another audience, looks as if it did not exist. */
function assertOwn(
  { request }: RefreshTokenContents,
  policy: Pick<IssuerPolicy, 'audience'>,
  { clientId, audiences }: RefreshTokenUse,
): void {
  if (request.clientId !== undefined && request.clientId !== clientId)
    throw new JwtctlError('ERR_REFRESH_INVALID', 'The refresh token belongs to another client.');
  const aud = request.aud ?? [policy.audience];
  if (audiences !== undefined && !aud.every((audience) => audiences.has(audience)))
    throw new JwtctlError(
      'ERR_REFRESH_INVALID',
      'The client is not allowed to use the audience of the session.',
    );
}

/** A session that began without a client gets the one that presents its refresh token, if its tokens need one. */
function clientOf(
  request: RefreshTokenContents['request'],
  { type }: Pick<IssuerPolicy, 'type'>,
  { clientId }: RefreshTokenUse,
): { clientId?: string } {
  if (request.clientId !== undefined || type !== 'at+jwt') return {};
  if (clientId === undefined) throw clientMissing();
  return { clientId };
}

export function sessionEnded(): JwtctlError {
  return new JwtctlError('ERR_REFRESH_REVOKED', 'The session of the refresh token has ended.');
}

export function sessionReused(): JwtctlError {
  const message =
    'The refresh token was used before, and its grace period is over. jwtctl has ended the session.';
  return new JwtctlError('ERR_REFRESH_REUSED', message);
}
