import { type ExpressionBuilder, sql } from 'kysely';
import { FAMILY_CHARACTERS, familyOf, isFamily } from '../../../domain/model/family.js';
import { isLegacyId } from '../../../domain/model/legacy-id.js';
import { formatMeta, type TokenMeta } from '../../../domain/model/token-meta.js';
import type {
  EntryFilter,
  EntryName,
  KnownUserStatus,
  Registration,
  RegistryEntry,
} from '../../../domain/ports/index.js';
import type { Schema, SqlExecutor } from '../schema.js';

/** Adds the entry. Returns `refused` if the limit leaves no room: see `onLimit`. */
export async function addEntry(
  db: SqlExecutor,
  registration: Registration,
  { idleTimeoutSeconds }: { idleTimeoutSeconds: number | null },
): Promise<'added' | 'known' | 'refused'> {
  const { sub, entry, user, meta, maxPerSubject } = registration;
  if (maxPerSubject !== undefined && idleTimeoutSeconds !== null)
    await removeOthersSeenBy(db, registration, registration.now - idleTimeoutSeconds);
  if (registration.onLimit === 'refuse' && (await isBeyondLimit(db, registration))) return 'refused';
  // Its iat may differ from the stored one, which stays.
  const isRenewed = isLegacyId(entry.jti) && (await renewLegacy(db, sub, entry));
  const isAdded = !isRenewed && (await insertEntry(db, sub, entry, meta));
  if (idleTimeoutSeconds !== null) await touch(db, sub, entry, registration.now);
  if (user !== undefined) await cacheStatus(db, sub, user);
  const evicted =
    registration.onLimit === 'refuse' ? [] : await oldestOthersBeyond(db, sub, entry, maxPerSubject);
  for (const old of evicted) await db.deleteFrom('registry_entries').where(isNamed(sub, old)).execute();
  return isAdded ? 'added' : 'known';
}

async function removeOthersSeenBy(
  db: SqlExecutor,
  { sub, entry }: Registration,
  time: number,
): Promise<void> {
  await db
    .deleteFrom('registry_entries')
    .where('sub', '=', sub)
    .where('last_seen', '<=', time)
    .where((column) => column.not(isNamed(sub, entry)(column)))
    .execute();
}

async function isBeyondLimit(
  db: SqlExecutor,
  { sub, entry, maxPerSubject = Number.POSITIVE_INFINITY }: Registration,
): Promise<boolean> {
  const known = await db
    .selectFrom('registry_entries')
    .select('sub')
    .where(isNamed(sub, entry))
    .executeTakeFirst();
  if (known !== undefined) return false;
  const rows = await db.selectFrom('registry_entries').select('jti').where('sub', '=', sub).execute();
  const sessions = new Set([entry.jti, ...rows.map(({ jti }) => jti)].map((jti) => familyOf(jti) ?? jti));
  return sessions.size > maxPerSubject;
}

/** Moves the time back only if it is the one to replace. */
export async function touch(
  db: SqlExecutor,
  sub: string,
  entry: EntryName,
  now: number,
  replaces = 0,
): Promise<void> {
  await db
    .updateTable('registry_entries')
    .set({ last_seen: now })
    .where(isNamed(sub, entry))
    .where(({ or, eb }) =>
      or([eb('last_seen', 'is', null), eb('last_seen', '<', now), eb('last_seen', '=', replaces)]),
    )
    .execute();
}

async function renewLegacy(db: SqlExecutor, sub: string, entry: RegistryEntry): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('registry_entries')
    .set({ exp: entry.exp })
    .where(isNamed(sub, entry))
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Returns whether the entry is new. For an existing entry, the stored meta is kept. */
async function insertEntry(
  db: SqlExecutor,
  sub: string,
  entry: RegistryEntry,
  given: TokenMeta | undefined,
): Promise<boolean> {
  const { jti, keyId, iat, exp } = entry;
  const meta = given === undefined ? null : formatMeta(given);
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('registry_entries')
    .values({ sub, jti, key_id: keyId, iat, exp, meta })
    .onConflict((conflict) => conflict.columns(['sub', 'jti', 'key_id', 'iat']).doNothing())
    .executeTakeFirst();
  if (numInsertedOrUpdatedRows === 1n) return true;
  await db
    .updateTable('registry_entries')
    .set(({ fn, val }) => ({ exp, meta: fn.coalesce('meta', val(meta)) }))
    .where(isNamed(sub, entry))
    .execute();
  return false;
}

/** @returns the cached version if it is higher and stays; otherwise null */
export async function cacheStatus(
  db: SqlExecutor,
  sub: string,
  user: KnownUserStatus,
  replaces: number | null = null,
): Promise<number | null> {
  const row = await db
    .selectFrom('registry_users')
    .select('version')
    .where('sub', '=', sub)
    .executeTakeFirst();
  if (row !== undefined && row.version > user.version && row.version !== replaces) return row.version;
  const { status, version, until } = user;
  await db
    .insertInto('registry_users')
    .values({ sub, status, version, known_until: until })
    .onConflict((conflict) => conflict.column('sub').doUpdateSet({ status, version, known_until: until }))
    .execute();
  return null;
}

async function oldestOthersBeyond(
  db: SqlExecutor,
  sub: string,
  entry: RegistryEntry,
  maxPerSubject: number | undefined,
): Promise<RegistryEntry[]> {
  if (maxPerSubject === undefined) return [];
  const rows = await db
    .selectFrom('registry_entries')
    .select(['jti', 'key_id', 'iat', 'exp'])
    .where('sub', '=', sub)
    .where((column) => column.not(isNamed(sub, entry)(column)))
    .orderBy('iat', 'desc')
    .orderBy('jti', 'desc')
    .orderBy('key_id', 'desc')
    .limit(Number.MAX_SAFE_INTEGER)
    .offset(maxPerSubject - 1)
    .execute();
  return rows.map(toEntry).reverse();
}

export function matches(filter: EntryFilter) {
  return (column: ExpressionBuilder<Schema, 'registry_entries'>) =>
    column.and([
      ...(filter.familiesOnly === true ? [column.lit(false)] : []),
      ...(filter.jti === undefined ? [] : [column('jti', '=', filter.jti)]),
      ...(filter.families === undefined ? [] : [isOfFamily(filter.families)]),
      ...(filter.except === undefined ? [] : [column('jti', '!=', filter.except)]),
      ...(filter.except !== undefined && isFamily(filter.except)
        ? [column.not(isOfFamily([filter.except]))]
        : []),
      ...(filter.keyId === undefined ? [] : [column('key_id', '=', filter.keyId)]),
      ...(filter.issuedBefore === undefined ? [] : [column('iat', '<=', filter.issuedBefore)]),
    ]);
}

function isOfFamily(families: readonly string[]) {
  const name = sql<string>`substr(jti, 1, ${FAMILY_CHARACTERS})`;
  const rest = sql<string>`substr(jti, ${FAMILY_CHARACTERS + 1})`;
  return sql<boolean>`(${name} in (${sql.join(families)}) and ${rest} glob '.[0-9]*' and ${rest} not glob '.*[^0-9]*')`;
}

/** The id of a legacy token names its entry alone. */
export function isNamed(sub: string, { jti, keyId, iat }: EntryName) {
  const name = isLegacyId(jti) ? { sub, jti } : { sub, jti, key_id: keyId, iat };
  return (column: ExpressionBuilder<Schema, 'registry_entries'>) => column.and(name);
}

/** A cached status lives as long as the user's last entry. */
export async function forgetUsersWithoutEntries(db: SqlExecutor): Promise<void> {
  await db
    .deleteFrom('registry_users')
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('registry_entries')
            .select('registry_entries.sub')
            .whereRef('registry_entries.sub', '=', 'registry_users.sub'),
        ),
      ),
    )
    .execute();
}

export function toEntry(row: { jti: string; key_id: number; iat: number; exp: number }): RegistryEntry {
  return { jti: row.jti, keyId: row.key_id, iat: row.iat, exp: row.exp };
}
