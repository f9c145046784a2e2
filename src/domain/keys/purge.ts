import type { LifetimePolicy } from '../model/lifetime.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Clock, Database, Stores } from '../ports/index.js';
import { eventExpiry } from '../security-log/record.js';

/**
 * The retired keys whose rows can go. What is compromised stays on record: its kid and its material must never come back.
 *
 * @param olderThanSeconds only keys that were retired at least so long ago
 */
export async function findPurgeable(
  { database, clock }: { database: Database; clock: Clock },
  olderThanSeconds = 0,
): Promise<SigningKey[]> {
  const now = clock.now();
  return (await database.keys.snapshot()).keys.filter(
    ({ state, retiredAt }) =>
      state === 'retired' && retiredAt !== null && retiredAt + olderThanSeconds <= now,
  );
}

/**
 * Removes the rows of these keys if they are retired. Their kids and material can be used again, but tokens signed before stay
 * invalid: if one may still be valid, the security log revokes all tokens under the kid.
 *
 * @returns the keys whose rows this run removed
 */
export async function purgeKeys(
  { database, clock, actor }: { database: Database; clock: Clock; actor: string },
  purgeable: readonly SigningKey[],
  policy: LifetimePolicy,
): Promise<SigningKey[]> {
  const purged: SigningKey[] = [];
  for (const key of purgeable) {
    const isPurged = await database.transaction(async (stores) => {
      const at = clock.now();
      // Another run was first.
      if (!(await stores.keys.removeRetired(key.kid))) return false;
      if (!hasOutlivedItsTokens(key, at)) await revokeUnder(key, stores, policy, at);
      const row = { actor, action: 'keys.purge', target: key.kid, outcome: 'removed', reason: null };
      await stores.auditLog.append({ ...row, at });
      return true;
    });
    if (isPurged) purged.push(key);
  }
  return purged;
}

/** False for a key that was retired by force or was pending: external tokens may have been registered under it. */
function hasOutlivedItsTokens({ verifyUntil }: SigningKey, now: number): boolean {
  return verifyUntil !== null && verifyUntil <= now;
}

async function revokeUnder(
  key: SigningKey,
  { keys, securityLog }: Stores,
  policy: LifetimePolicy,
  at: number,
): Promise<void> {
  const others = (await keys.snapshot()).keys;
  await securityLog.append({
    ...{ type: 'kid_revoked', kid: key.kid, issuedBefore: at, reason: 'The key was purged.', at },
    expiresAt: eventExpiry([key, ...others], policy, at),
  });
}
