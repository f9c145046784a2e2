import { familyJti } from '../model/family.js';
import type { RevocationIndex } from '../security-log/revocation-index.js';
import { JwtctlError } from '../shared/errors.js';
import type { Draft } from './issue-drafts.js';

/** A revocation further in the future is an error, because clocks do not differ by more. */
export const LONGEST_WAIT_SECONDS = 10;

/**
 * Returns the earliest time at which no revocation covers a token of the draft. A revocation covers tokens issued in the
 * same second.
 */
export function issuableFrom(
  { request: { sub }, last }: Draft,
  events: RevocationIndex,
  kid: string,
): number {
  const jti = last === undefined ? null : familyJti(last.family, last.counter);
  return events.coveredUntil({ sub, jti, kid }) + 1;
}

export function revokedAhead(sub: string, seconds: number): JwtctlError {
  const when = Number.isFinite(seconds) ? `in the next ${seconds} s` : 'at any time';
  return new JwtctlError(
    'ERR_REVOCATION_IN_FUTURE',
    `A revocation covers tokens of ${JSON.stringify(sub)} that are issued ${when}.`,
  );
}
