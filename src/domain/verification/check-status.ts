import { type Refusal, refuse } from '../model/refusal-codes.js';
import { liveExp } from '../model/registry-entry.js';
import type { UserStatus } from '../model/user.js';
import type { KnownUserStatus } from '../ports/index.js';
import { idleSeconds } from '../registry/idle.js';
import {
  changeToInclude,
  isAnswerValid,
  provenStatus,
  type StatusPolicy,
} from '../security-log/cached-user-status.js';
import type { RevocationIndex } from '../security-log/revocation-index.js';
import { formatDuration } from '../shared/duration.js';
import type { Claims } from './check-claims.js';

/** The status of a token in the registry, the security log, and the user directory. */
export interface TokenStatus {
  entry: { kid: string; iat: number; exp: number } | null;
  user: UserStatus | 'unknown';
  /** Whether an event of the security log covers the token. */
  revoked: boolean;
  /** For how long the token has not been used, if `token.idleTimeout` does not allow it. */
  idleSeconds?: number | undefined;
}

/** Makes the last two checks. Accepts only exact values, because the status may come from external code. */
export function checkStatus(
  tokenStatus: TokenStatus,
  claims: Pick<Claims, 'iat' | 'exp'>,
  kid: string,
): Refusal | null {
  return checkEntry(tokenStatus, claims, kid) ?? checkUser(tokenStatus);
}

/** Makes the third check: the registry and the security log. */
export function checkEntry(
  tokenStatus: Omit<TokenStatus, 'user'>,
  claims: Pick<Claims, 'iat' | 'exp'>,
  kid: string,
): Refusal | null {
  const { entry } = tokenStatus;
  if (tokenStatus.revoked !== false) return refuse('ERR_TOKEN_REVOKED', 'The token has been revoked.');
  if (typeof entry !== 'object' || entry === null)
    return refuse('ERR_TOKEN_NOT_REGISTERED', 'The token is not in the registry.');
  if (entry.kid !== kid || entry.iat !== claims.iat || entry.exp !== claims.exp) {
    return refuse(
      'ERR_REGISTRATION_MISMATCH',
      'The registry has this jti with a different kid, iat, or exp.',
    );
  }
  if (tokenStatus.idleSeconds !== undefined) {
    const duration = formatDuration(tokenStatus.idleSeconds);
    return refuse(
      'ERR_TOKEN_IDLE',
      `The token was last used ${duration} ago. token.idleTimeout allows less.`,
    );
  }
  return null;
}

/** Makes the fourth check. */
export function checkUser({ user }: Pick<TokenStatus, 'user'>): Refusal | null {
  if (user === 'enabled') return null;
  return user === 'unknown' || user === null || user === undefined
    ? refuse('ERR_USER_UNKNOWN', 'The user of the token does not exist.')
    : refuse('ERR_USER_DISABLED', 'The user of the token is disabled.');
}

export interface TokenState {
  token: { sub: string; jti: string; kid: string; iat: number; issuedAt: number };
  /** `exp` of the token's entry, live or not; null if there is none. */
  exp: number | null;
  lastSeen?: number | undefined;
  cached: KnownUserStatus | null;
  lastAnswer: KnownUserStatus | null;
  events: RevocationIndex;
  policy: StatusPolicy & IdlePolicy;
}

export interface IdlePolicy {
  /** Null: tokens need not be used. */
  idleTimeoutSeconds: number | null;
}

export interface EvaluatedStatus extends Omit<TokenStatus, 'user'> {
  user: KnownUserStatus | null;
}

export function evaluateStatus(state: TokenState, now: number): EvaluatedStatus {
  const { token, events, policy } = state;
  const exp = liveExp(state.exp, now, policy.clockToleranceSeconds);
  return {
    entry: exp === null ? null : { kid: token.kid, iat: token.iat, exp },
    revoked: events.covers({ ...token, iat: token.issuedAt }),
    idleSeconds: idleSeconds(state.lastSeen, policy.idleTimeoutSeconds, now),
    user: knownUser(state, now),
  };
}

function knownUser({ token, cached, lastAnswer, events, policy }: TokenState, now: number) {
  const change = changeToInclude(events, token.sub, policy);
  const proven = provenStatus(cached, change, now, policy);
  // After the answer "disabled", the log may not have that change yet.
  if (proven !== null && (change !== null || lastAnswer?.status !== 'disabled')) return proven;
  const isValid = lastAnswer !== null && isAnswerValid(lastAnswer, { cached, change }, now, policy);
  return isValid ? lastAnswer : null;
}
