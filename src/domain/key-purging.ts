import type { Clock, Database } from './ports.js';
import type { SigningKey } from './signing-key.js';

export interface PurgeInput {
  /** Only keys that were retired at least so long ago. */
  olderThanSeconds: number;
  dryRun: boolean;
}

/**
 * Removes the rows of retired keys. What is compromised stays on record: its kid and its material must never come back.
 *
 * @returns the keys whose rows are gone, or with `dryRun` would be
 */
export async function purgeKeys(
  { database, clock, actor }: { database: Database; clock: Clock; actor: string },
  { olderThanSeconds, dryRun }: PurgeInput,
): Promise<SigningKey[]> {
  const now = clock.now();
  const over = (await database.keys.snapshot()).keys.filter(
    ({ state, retiredAt }) =>
      state === 'retired' && retiredAt !== null && retiredAt + olderThanSeconds <= now,
  );
  if (dryRun) return over;
  const purged: SigningKey[] = [];
  for (const key of over) {
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
