import type { ExpressionBuilder, Selectable } from 'kysely';
import { counterOf, familyOf } from '../../../domain/model/family.js';
import { formatMeta, parseMeta } from '../../../domain/model/token-meta.js';
import type { EntryFilter, FamilyOutcome, FamilyStep, TokenFamily } from '../../../domain/ports/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { RegistryFamiliesTable, Schema, SqlExecutor } from '../schema.js';
import { addEntry } from './registry-rows.js';

/** Must run in a transaction that has removed expired rows. */
export async function advanceFamily(
  db: SqlExecutor,
  step: FamilyStep,
  options: { idleTimeoutSeconds: number | null },
): Promise<FamilyOutcome> {
  const { sub, entry, now, meta = null } = step;
  const family = familyOf(entry.jti);
  if (family === null) throw new JwtctlError('ERR_BUG', 'The entry has no family.');
  const counter = counterOf(entry.jti);
  const known = await db
    .selectFrom('registry_families')
    .selectAll()
    .where('sub', '=', sub)
    .where('family', '=', family)
    .executeTakeFirst();
  if (known === undefined && counter > 0) return { state: 'unknown' };
  if (known !== undefined && known.counter >= counter) {
    const isRecent =
      known.refreshed_at === NOT_RETURNED || Math.abs(now - known.refreshed_at) <= step.family.graceSeconds;
    return known.counter === counter && isRecent
      ? { state: 'replayed', iat: known.iat }
      : { state: 'reused' };
  }
  if ((await addEntry(db, step, options)) === 'refused') return { state: 'limited' };
  const row: RegistryFamiliesTable = {
    ...{
      sub,
      family,
      counter,
      key_id: entry.keyId,
      iat: entry.iat,
      meta: meta === null ? null : formatMeta(meta),
    },
    ...{ started_at: step.family.startedAt, exp: step.family.exp },
    refreshed_at: NOT_RETURNED,
  };
  await db
    .insertInto('registry_families')
    .values(row)
    .onConflict((conflict) => conflict.columns(['sub', 'family']).doUpdateSet(row))
    .execute();
  if (counter === 0) await removeOldestFamilies(db, step, family);
  return { state: 'advanced' };
}

/** The value of `refreshed_at` until the tokens of the step are returned. */
const NOT_RETURNED = 0;

export async function startGrace(
  db: SqlExecutor,
  steps: ReadonlyArray<{ sub: string; jti: string }>,
  now: number,
): Promise<void> {
  for (const { sub, jti } of steps) {
    await db
      .updateTable('registry_families')
      .set({ refreshed_at: now })
      .where('sub', '=', sub)
      .where('family', '=', familyOf(jti))
      .where('counter', '=', counterOf(jti))
      .where('refreshed_at', '=', NOT_RETURNED)
      .execute();
  }
}

async function removeOldestFamilies(db: SqlExecutor, { sub, family: { limit } }: FamilyStep, kept: string) {
  const own = db.selectFrom('registry_families').where('sub', '=', sub);
  const { count } = await own.select(({ fn }) => fn.countAll<number>().as('count')).executeTakeFirstOrThrow();
  if (Number(count) <= limit.above) return;
  const oldest = await own
    .where('family', '!=', kept)
    .select('family')
    .orderBy('iat')
    .orderBy('family')
    .limit(Number(count) - limit.most)
    .execute();
  const families = oldest.map(({ family }) => family);
  await db.deleteFrom('registry_families').where('sub', '=', sub).where('family', 'in', families).execute();
}

export async function* familyPages(
  db: SqlExecutor,
  sub: string,
  horizon: number,
): AsyncGenerator<TokenFamily[]> {
  let last = '';
  let isLast = false;
  while (!isLast) {
    const rows = await db
      .selectFrom('registry_families')
      .selectAll()
      .where('sub', '=', sub)
      .where('exp', '>', horizon)
      .where('family', '>', last)
      .orderBy('family')
      .limit(FAMILIES_AT_ONCE)
      .execute();
    yield rows.map(toFamily);
    last = rows.at(-1)?.family ?? '';
    isLast = rows.length < FAMILIES_AT_ONCE;
  }
}

const FAMILIES_AT_ONCE = 500;

/** Returns how many were removed. */
export async function removeFamilies(db: SqlExecutor, filter: EntryFilter, sub?: string): Promise<number> {
  if (filter.jti !== undefined) return 0;
  const { numDeletedRows } = await db
    .deleteFrom('registry_families')
    .where(matches(filter))
    .$if(sub !== undefined, (query) => query.where('sub', '=', String(sub)))
    .executeTakeFirst();
  return Number(numDeletedRows);
}

function matches({ families, keyId, issuedBefore, except }: EntryFilter) {
  return (column: ExpressionBuilder<Schema, 'registry_families'>) =>
    column.and([
      ...(families === undefined ? [] : [column('family', 'in', families)]),
      ...(except === undefined ? [] : [column('family', '!=', except)]),
      ...(keyId === undefined ? [] : [column('key_id', '=', keyId)]),
      ...(issuedBefore === undefined
        ? []
        : [column(keyId === undefined ? 'started_at' : 'iat', '<=', issuedBefore)]),
    ]);
}

function toFamily(row: Selectable<RegistryFamiliesTable>): TokenFamily {
  const { family, counter, key_id: keyId, iat, started_at: startedAt, exp, meta } = row;
  return { family, counter, keyId, iat, startedAt, exp, meta: meta === null ? null : parseMeta(meta) };
}
