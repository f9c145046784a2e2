import type { Administration, Stores } from '../ports/index.js';
import { groupBy } from '../registry/group-entries.js';
import { JwtctlError } from '../shared/errors.js';

const ATTEMPTS = 5;

export interface NewUser {
  sub: string;
  name: string | null;
}

export type UserImportOutcome = 'added' | 'existing';

/** Adds the missing users with one statement. The caller writes the audit row for the whole import. */
export async function addUsers(
  { database, clock }: Pick<Administration, 'database' | 'clock'>,
  users: readonly NewUser[],
): Promise<UserImportOutcome[]> {
  const added = await database.transaction((stores) => addMissing(stores, users, clock.now()));
  return outcomes(users, added);
}

/** Returns what {@link addUsers} would do. */
export async function planUsers(
  { database }: Pick<Administration, 'database'>,
  users: readonly NewUser[],
): Promise<UserImportOutcome[]> {
  return outcomes(users, await missingAmong(database, users));
}

async function addMissing(
  stores: Stores,
  users: readonly NewUser[],
  at: number,
): Promise<Map<string, NewUser>> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const missing = await missingAmong(stores, users);
    // The same order in every run prevents deadlocks between two runs.
    const rows = [...missing.values()].sort((a, b) => Buffer.compare(Buffer.from(a.sub), Buffer.from(b.sub)));
    // False if another run has added one of them since.
    if (rows.length === 0 || (await stores.users.addMany(rows, at))) {
      await continueVersions(stores, [...missing.keys()]);
      return missing;
    }
  }
  throw new JwtctlError('ERR_DATABASE_CONFLICT', 'Other processes kept adding the same users.');
}

/** If a subject has several rows, the first counts. */
async function missingAmong(
  { users: directory }: Pick<Stores, 'users'>,
  users: readonly NewUser[],
): Promise<Map<string, NewUser>> {
  const bySubject = new Map<string, NewUser>();
  for (const user of users) if (!bySubject.has(user.sub)) bySubject.set(user.sub, user);
  for (const sub of (await directory.findMany([...bySubject.keys()])).keys()) bySubject.delete(sub);
  return bySubject;
}

/**
 * Continues the versions of removed users with the same names, so that their cached statuses are older. Reads
 * them after the insert, which waits for a running removal.
 */
async function continueVersions({ users, securityLog }: Stores, subs: readonly string[]): Promise<void> {
  const byVersion = groupBy(await securityLog.highestUserVersions(subs), ([, version]) => version);
  for (const [version, group] of byVersion) {
    await users.setVersion(
      group.map(([sub]) => sub),
      version + 1,
    );
  }
}

function outcomes(users: readonly NewUser[], added: Map<string, NewUser>): UserImportOutcome[] {
  return users.map((user) => (added.get(user.sub) === user ? 'added' : 'existing'));
}
