import type { EventPolicy, LifetimePolicy } from '../model/lifetime.js';
import type { LongestLifetimes, NewSecurityEvent, SecurityEvent } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { isInterpretable } from './revocation-index.js';

// Extra time for clocks that were set back.
const RETENTION_MARGIN_SECONDS = 3_600;

const REPEAT = 'To complete the change, run the same command again when the registry responds.';
const RECORDED =
  'The change is recorded in the security log, and verifiers apply it. But the registry could not be updated';

/**
 * Returns the `issuedBefore` of an event that ends all tokens issued so far. Entries in Redis can be forged, so it is at
 * most the clock tolerance ahead: a later one would refuse new tokens. `nameTokens` ends tokens that are further ahead.
 *
 * @param seen null if a part of the registry was not read: a token there may be ahead by the tolerance
 */
export function latestIssued(
  now: number,
  { clockToleranceSeconds }: Pick<LifetimePolicy, 'clockToleranceSeconds'>,
  seen: { latestIat: number } | null,
): number {
  const latest = now + clockToleranceSeconds;
  return seen === null ? latest : Math.min(Math.max(now, seen.latestIat), latest);
}

/**
 * Returns how long an event is kept that covers what was issued at or before `issuedBefore`. A refresh token
 * lives longer than an access token, and only an issuer checks it.
 *
 * @param longest of any host, because another one may have other settings
 */
export function eventExpiry(
  longest: LongestLifetimes,
  policy: EventPolicy,
  issuedBefore: number,
): { verifiersUntil: number; expiresAt: number } {
  const ttlSeconds = Math.max(longest.tokenSeconds ?? 0, policy.maxTtlSeconds);
  const start = issuedBefore + policy.clockToleranceSeconds + RETENTION_MARGIN_SECONDS;
  return {
    verifiersUntil: start + ttlSeconds,
    expiresAt: start + Math.max(ttlSeconds, policy.refreshTtlSeconds, longest.refreshTokenSeconds),
  };
}

/** Returns how long a request to read a user again is kept: until no verifier has an earlier answer. */
export function refreshExpiry(
  { statusTtlSeconds, clockToleranceSeconds }: EventPolicy & { statusTtlSeconds: number },
  at: number,
): number {
  return at + statusTtlSeconds + clockToleranceSeconds + RETENTION_MARGIN_SECONDS;
}

/**
 * Returns a known event that already covers the new one. The caller then records no second event, so repeated requests do
 * not fill the security log, which verifiers keep in memory.
 * @param known of the subject of the event, or of any
 */
export function findEqual(
  known: readonly SecurityEvent[],
  event: NewSecurityEvent,
): SecurityEvent | undefined {
  const { type, sub, jti = null, except = null, issuedBefore = null, at } = event;
  return known.find(
    (one) =>
      one.type === type &&
      one.sub === sub &&
      (one.jti || null) === jti &&
      (one.except ?? null) === except &&
      (issuedBefore === null || (one.issuedBefore ?? -1) >= issuedBefore) &&
      one.expiresAt > at &&
      isInterpretable(one),
  );
}

/**
 * Runs the change in the registry that follows a durable record. The record is effective even if this fails.
 * @param what says so in the message; for a record that does not cover all yet, says what it lacks
 * @throws JwtctlError `ERR_RECORDED_NOT_APPLIED` (unavailable)
 */
export async function afterRecord<T>(
  apply: () => Promise<T>,
  { hint = REPEAT, what = RECORDED }: { hint?: string; what?: string } = {},
): Promise<T> {
  try {
    return await apply();
  } catch (error) {
    if (!(error instanceof JwtctlError) || error.kind !== 'unavailable') throw error;
    throw new JwtctlError('ERR_RECORDED_NOT_APPLIED', `${what}: ${error.message}`, { hint, cause: error });
  }
}
