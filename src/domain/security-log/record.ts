import type { LifetimePolicy } from '../model/lifetime.js';
import type { SigningKey } from '../model/signing-key.js';
import { JwtctlError } from '../shared/errors.js';

// Beyond the last moment at which a covered token can be accepted, for clocks that were set back.
const RETENTION_MARGIN_SECONDS = 3_600;

const REPEAT = 'Run the same command again when the registry answers: it does what is left.';

/**
 * Returns the largest `iat` of a token that is accepted now: the current time, or the largest registered `iat` if that is later.
 * If a part of the registry was not read, a token there may be as far ahead as verifiers accept.
 *
 * @param seen null if a part of the registry was not read
 */
export function latestIssued(
  now: number,
  { clockToleranceSeconds }: Pick<LifetimePolicy, 'clockToleranceSeconds'>,
  seen: { latestIat: number } | null,
): number {
  return seen === null ? now + clockToleranceSeconds : Math.max(now, seen.latestIat);
}

/** From when on no token can exist that was issued at `issuedBefore` or earlier. */
export function eventExpiry(
  keys: readonly SigningKey[],
  policy: LifetimePolicy,
  issuedBefore: number,
): number {
  const longestTtl = keys.reduce(
    (longest, key) => Math.max(longest, key.maxTtlSeconds ?? 0),
    policy.maxTtlSeconds,
  );
  return issuedBefore + longestTtl + policy.clockToleranceSeconds + RETENTION_MARGIN_SECONDS;
}

/**
 * Runs the registry's part of something that is durably recorded.
 *
 * @throws JwtctlError `ERR_RECORDED_NOT_APPLIED` (unavailable) where the registry fails: what was recorded holds already,
 * and the same command again does the rest
 */
export async function afterRecord<T>(apply: () => Promise<T>, hint = REPEAT): Promise<T> {
  try {
    return await apply();
  } catch (error) {
    if (!(error instanceof JwtctlError) || error.kind !== 'unavailable') throw error;
    throw new JwtctlError(
      'ERR_RECORDED_NOT_APPLIED',
      `It is recorded in the security log and holds for every verifier that reads it; the registry could not be changed: ${error.message}`,
      { hint, cause: error },
    );
  }
}
