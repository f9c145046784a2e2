import { type Refusal, refuse } from '../model/refusal-codes.js';
import { isVerifyOnly, type SigningKey, stateName } from '../model/signing-key.js';
import type { Database } from '../ports/index.js';
import { DAY_SECONDS, formatDuration } from '../shared/duration.js';

/** An `exp` beyond this is probably in milliseconds, and would keep its key forever. */
const MAX_LIFETIME_SECONDS = 100 * 365 * DAY_SECONDS;

interface Candidate {
  key: SigningKey;
  claims: { exp: number };
}

interface LifetimePolicy {
  maxTtlSeconds: number;
  clockToleranceSeconds: number;
}

/** A signing key whose longest known lifetime was raised. */
export interface RaisedLifetime {
  kid: string;
  maxTtlSeconds: number;
}

/** Raises the longest lifetimes of active and verify-only keys. Reads keys again that changed in between. */
export async function raiseLifetimes<C extends Candidate>(
  { database }: { database: Pick<Database, 'keys' | 'transaction'> },
  policy: LifetimePolicy,
  candidates: readonly C[],
  { now, dryRun }: { now: number; dryRun: boolean },
): Promise<{ candidates: C[]; raised: RaisedLifetime[] }> {
  const longest = new Map<string, number>();
  for (const candidate of candidates) {
    const { key, claims } = candidate;
    if (key.state !== 'active' && !isVerifyOnly(key)) continue;
    if (checkLifetime(candidate, policy, now) !== null) continue;
    longest.set(
      key.kid,
      Math.max(longest.get(key.kid) ?? key.maxTtlSeconds ?? 0, remainingSeconds(claims, now)),
    );
  }
  const verifyOnly = new Set(candidates.flatMap(({ key }) => (isVerifyOnly(key) ? [key.kid] : [])));
  const raised: RaisedLifetime[] = [];
  const changed = new Map<string, SigningKey>();
  for (const [kid, seconds] of longest) {
    const known = candidates.find(({ key }) => key.kid === kid)?.key.maxTtlSeconds ?? 0;
    if (seconds <= known) continue;
    const isActive = dryRun || (await database.transaction(({ keys }) => keys.raiseMaxTtl(kid, seconds)));
    if (isActive) {
      if (!verifyOnly.has(kid)) raised.push({ kid, maxTtlSeconds: seconds });
      continue;
    }
    const key = await database.keys.find(kid);
    if (key !== null) changed.set(kid, key);
  }
  const current = candidates.map((candidate) => ({
    ...candidate,
    key: changed.get(candidate.key.kid) ?? candidate.key,
  }));
  return { candidates: current, raised };
}

export function checkLifetime(
  { key, claims }: Candidate,
  policy: LifetimePolicy,
  now: number,
): Refusal | null {
  const { kid, state, verifyUntil } = key;
  if (!isPlausible(claims, now)) {
    return refuse(
      'ERR_CLAIM_INVALID',
      `The token's exp is more than 100 years in the future (exp ${claims.exp}).`,
    );
  }
  switch (state) {
    case 'active':
      return null;
    case 'retiring': {
      if (verifyUntil === null) return null;
      const left = verifyUntil - policy.clockToleranceSeconds - now;
      const excess = remainingSeconds(claims, now) - left;
      if (excess <= 0) return null;
      return refuse(
        'ERR_KEY_NOT_TRUSTED',
        `Key ${kid} is ${stateName(key)} and verifies for another ${formatDuration(left)}; the token would outlive it by ${formatDuration(excess)}.`,
      );
    }
    case 'pending': {
      const longest = formatDuration(policy.maxTtlSeconds);
      if (remainingSeconds(claims, now) <= policy.maxTtlSeconds) return null;
      return refuse(
        'ERR_KEY_NOT_TRUSTED',
        `Key ${kid} is pending, so the token must expire within token.maxTtl (${longest}).`,
      );
    }
    case 'retired':
    case 'compromised':
      return refuse('ERR_KEY_NOT_TRUSTED', `Key ${kid} is ${state}.`);
  }
}

function isPlausible(claims: Candidate['claims'], now: number): boolean {
  return remainingSeconds(claims, now) <= MAX_LIFETIME_SECONDS;
}

function remainingSeconds({ exp }: Candidate['claims'], now: number): number {
  return exp - now;
}
