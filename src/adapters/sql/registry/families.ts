import type { ExpressionBuilder, Selectable } from 'kysely';
import { counterOf, familyOf } from '../../../domain/model/family.js';
import { formatMeta, parseMeta } from '../../../domain/model/token-meta.js';
import type { EntryFilter, FamilyOutcome, FamilyStep, TokenFamily } from '../../../domain/ports/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { RegistryFamiliesTable, Schema, SqlExecutor } from '../schema.js';
import { addEntry } from './registry-rows.js';

/** Must run in a transaction that has removed expired rows. */
export async function advanceFamily(db: SqlExecutor, step: FamilyStep): Promise<FamilyOutcome> {
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
    const isRecent = Math.abs(now - known.refreshed_at) <= step.family.graceSeconds;
    const isInGrace = known.counter === counter && isRecent;
    return isInGrace ? { state: 'replayed', iat: known.iat } : { state: 'reused' };
  }
  if (!(await addEntry(db, step))) return { state: 'limited' };
  const row: RegistryFamiliesTable = {
    ...{
      sub,
      family,
      counter,
      key_id: entry.keyId,
      iat: entry.iat,
      meta: meta === null ? null : formatMeta(meta),
    },
    ...{ started_at: step.family.startedAt, refreshed_at: now, exp: step.family.exp },
  };
  await db
    .insertInto('registry_families')
    .values(row)
    .onConflict((conflict) => conflict.columns(['sub', 'family']).doUpdateSet(row))
    .execute();
  return { state: 'advanced' };
}

export async function listFamilies(db: SqlExecutor, sub: string, horizon: number): Promise<TokenFamily[]> {
  const rows = await db
    .selectFrom('registry_families')
    .selectAll()
    .where('sub', '=', sub)
    .where('exp', '>', horizon)
    .orderBy('started_at')
    .orderBy('family')
    .execute();
  return rows.map(toFamily);
}

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

function matches({ family, keyId, issuedBefore }: EntryFilter) {
  return (column: ExpressionBuilder<Schema, 'registry_families'>) =>
    column.and([
      ...(family === undefined ? [] : [column('family', '=', family)]),
      ...(keyId === undefined ? [] : [column('key_id', '=', keyId)]),
      ...(issuedBefore === undefined ? [] : [column('started_at', '<=', issuedBefore)]),
    ]);
}

function toFamily(row: Selectable<RegistryFamiliesTable>): TokenFamily {
  const { family, counter, key_id: keyId, iat, started_at: startedAt, exp, meta } = row;
  return { family, counter, keyId, iat, startedAt, exp, meta: meta === null ? null : parseMeta(meta) };
}
