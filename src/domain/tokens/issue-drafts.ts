import { familyJti } from '../model/family.js';
import { newRandomId } from '../model/random-id.js';
import type { User } from '../ports/index.js';
import type { RevocationIndex } from '../security-log/revocation-index.js';
import { JwtctlError } from '../shared/errors.js';
import type { Claims } from '../verification/check-claims.js';
import type { RefreshTokenContents } from './refresh-token.js';
import type { TokenRequest } from './token-request.js';

export interface Draft {
  index: number;
  request: TokenRequest;
  /** The refresh token that is used. */
  last?: RefreshTokenContents | undefined;
  /** The `iat` of a token that is made again. */
  replayedIat?: number | undefined;
  /** The scopes that are asked for. Without it, all of them. */
  scope?: string | undefined;
  /** The name in the audit log if the use of `last` ends the session. */
  actor?: string | undefined;
}

export interface SignedDraft extends Draft {
  user: User;
  claims: Claims;
  session: SessionStep | undefined;
  /** Set when it is signed. */
  token: string;
}

export type SessionStep = Pick<RefreshTokenContents, 'family' | 'counter' | 'startedAt' | 'userVersion'>;

export function nextStep(
  last: RefreshTokenContents | undefined,
  { version }: User,
  now: number,
): SessionStep {
  const first = { family: newRandomId(), counter: 0, startedAt: now, userVersion: version };
  if (last === undefined) return first;
  const { family, counter, startedAt, userVersion } = last;
  return { family, counter: counter + 1, startedAt, userVersion };
}

export function hasEnded(
  { family, counter, ...last }: RefreshTokenContents,
  events: RevocationIndex,
): boolean {
  return events.endsSession({ ...last, jti: familyJti(family, counter) });
}

export type Outcomes<T> = Array<T | JwtctlError>;

export function forEachDraft<D extends Draft, T>(
  drafts: readonly D[],
  outcomes: Outcomes<unknown>,
  work: (draft: D, position: number) => T,
): T[] {
  const results: T[] = [];
  for (const [position, draft] of drafts.entries()) {
    try {
      results.push(work(draft, position));
    } catch (error) {
      if (!(error instanceof JwtctlError)) throw error;
      outcomes[draft.index] = error;
    }
  }
  return results;
}

export function onlyOutcome<T>([outcome]: Outcomes<T>): T {
  if (outcome instanceof JwtctlError) throw outcome;
  return outcome as T;
}

export function subjectsOf(drafts: readonly Draft[]): string[] {
  return [...new Set(drafts.map(({ request }) => request.sub))];
}

/** The tokens whose events concern these drafts. A null `jti` is for a token not yet issued. */
export function tokensOf(drafts: readonly Draft[]): Array<{ sub: string; jti: string | null }> {
  const sessions = drafts.flatMap(({ last }) =>
    last === undefined ? [] : [{ sub: last.sub, jti: familyJti(last.family, last.counter) }],
  );
  const subs = subjectsOf(drafts.filter(({ last }) => last === undefined));
  return [...sessions, ...subs.map((sub) => ({ sub, jti: null }))];
}
