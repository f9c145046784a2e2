import type { Clock, Database } from './ports.js';
import type { SigningKey } from './signing-key.js';

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
 * Removes the rows of these keys, as far as they are retired. From then on their kids and their material can come back.
 *
 * @returns the keys whose rows this run removed
 */
export async function purgeKeys(
  { database, clock, actor }: { database: Database; clock: Clock; actor: string },
  purgeable: readonly SigningKey[],
): Promise<SigningKey[]> {
  const purged: SigningKey[] = [];
  for (const key of purgeable) {
    const isPurged = await database.transaction(async ({ keys, auditLog }) => {
      // Another run was first.
      if (!(await keys.removeRetired(key.kid))) return false;
      const row = { actor, action: 'keys.purge', target: key.kid, outcome: 'removed', reason: null };
      await auditLog.append({ ...row, at: clock.now() });
      return true;
    });
    if (isPurged) purged.push(key);
  }
  return purged;
}
