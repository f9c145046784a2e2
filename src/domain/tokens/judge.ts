import { liveExp } from '../model/registry-entry.js';
import type { KnownUserStatus } from '../ports/index.js';
import { isAnswerValid, provenStatus, type StatusPolicy } from '../security-log/cached-user-status.js';
import type { RevocationIndex } from '../security-log/revocation-index.js';
import type { TokenStatus } from './verify.js';

/** What the stores say of a token whose signature and claims are valid. */
export interface TokenState {
  token: { sub: string; jti: string; kid: string; iat: number };
  /** `exp` of the token's entry in the registry, live or not; null if there is no entry. */
  exp: number | null;
  /** The user status cached with the entries. */
  cached: KnownUserStatus | null;
  /** The user directory's last answer to this process; null if there is none. */
  lastAnswer: KnownUserStatus | null;
  events: RevocationIndex;
  policy: StatusPolicy;
}

export interface JudgedToken extends Omit<TokenStatus, 'user'> {
  /** Null if only the user directory can tell. */
  user: KnownUserStatus | null;
}

/** Judges a token, for the one-shot and the long-running verifier. Asks no store. */
export function judgeToken(state: TokenState, now: number): JudgedToken {
  const { token, events, policy } = state;
  const exp = liveExp(state.exp, now, policy.clockToleranceSeconds);
  return {
    entry: exp === null ? null : { kid: token.kid, iat: token.iat, exp },
    revoked: events.covers(token),
    user: knownUser(state, now),
  };
}

function knownUser({ token, cached, lastAnswer, events, policy }: TokenState, now: number) {
  const change = events.changeOf(token.sub);
  const proven = provenStatus(cached, change, now, policy);
  // If the last answer was "disabled", the log may not have that change yet.
  if (proven !== null && (change !== null || lastAnswer?.status !== 'disabled')) return proven;
  const isValid = lastAnswer !== null && isAnswerValid(lastAnswer, { cached, change }, now, policy);
  return isValid ? lastAnswer : null;
}
