import { liveExp } from '../model/registry-entry.js';
import type { KnownUserStatus } from '../ports/index.js';
import { isAnswerValid, provenStatus, type StatusPolicy } from '../security-log/cached-user-status.js';
import type { RevocationIndex } from '../security-log/revocation-index.js';
import type { TokenStatus } from './check-status.js';

export interface TokenState {
  token: { sub: string; jti: string; kid: string; iat: number; issuedAt: number };
  /** `exp` of the token's entry, live or not; null if there is none. */
  exp: number | null;
  cached: KnownUserStatus | null;
  lastAnswer: KnownUserStatus | null;
  events: RevocationIndex;
  policy: StatusPolicy;
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
    user: knownUser(state, now),
  };
}

function knownUser({ token, cached, lastAnswer, events, policy }: TokenState, now: number) {
  const change = events.changeOf(token.sub);
  const proven = provenStatus(cached, change, now, policy);
  // After the answer "disabled", the log may not have that change yet.
  if (proven !== null && (change !== null || lastAnswer?.status !== 'disabled')) return proven;
  const isValid = lastAnswer !== null && isAnswerValid(lastAnswer, { cached, change }, now, policy);
  return isValid ? lastAnswer : null;
}
