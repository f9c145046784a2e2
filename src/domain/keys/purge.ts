import type { EventPolicy } from '../model/lifetime.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Clock, Database } from '../ports/index.js';
import { eventExpiry } from '../security-log/record.js';

// Compromised keys are kept, so that their kids and material cannot be imported again.
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
 * Removes the rows of retired keys, whose kids can then be used again. So if a token signed before may be
 * unexpired, the security log revokes all tokens under the kid. Returns the keys removed by this run.
 */
export async function purgeKeys(
  { database, clock, actor }: { database: Database; clock: Clock; actor: string },
  purgeable: readonly SigningKey[],
  policy: EventPolicy,
): Promise<SigningKey[]> {
  const purged: SigningKey[] = [];
  for (const key of purgeable) {
    const isPurged = await database.transaction(async (stores) => {
      const at = clock.now();
      const expiry = eventExpiry(await stores.keys.longestLifetimes(), policy, at);
      if (!(await stores.keys.removeRetired(key.kid))) return false;
      if (!hasOutlivedItsTokens(key, at)) {
        const event = { type: 'kid_revoked', kid: key.kid, issuedBefore: at, at, ...expiry } as const;
        await stores.securityLog.append({ ...event, reason: 'The key was purged.' });
      }
      const row = { actor, action: 'keys.purge', target: key.kid, outcome: 'removed', reason: null };
      await stores.auditLog.append({ ...row, at });
      return true;
    });
    if (isPurged) purged.push(key);
  }
  return purged;
}

/** False for a pending key or one retired by force: its external tokens may be unexpired. */
function hasOutlivedItsTokens({ verifyUntil }: SigningKey, now: number): boolean {
  return verifyUntil !== null && verifyUntil <= now;
}
