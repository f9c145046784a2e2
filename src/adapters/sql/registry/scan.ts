import { parseMeta } from '../../../domain/model/token-meta.js';
import { toUserStatus } from '../../../domain/model/user.js';
import type { ScannedEntry, ScannedSubject, ScanOptions } from '../../../domain/ports/index.js';
import type { RegistryEntriesTable, SqlExecutor } from '../schema.js';

type Row = Omit<RegistryEntriesTable, 'last_seen'>;

const PAGE = 1_000;

/** Yields one page of rows at a time. A page may split the last subject. */
export async function* scanPages(
  db: SqlExecutor,
  node: string,
  tolerance: number,
  { now, withDetails = false, sub }: ScanOptions,
): AsyncGenerator<ScannedSubject[]> {
  const horizon = now - tolerance;
  let last: Row | undefined;
  for (;;) {
    // One extra row shows whether the last subject continues.
    const rows: Row[] = await rowsAfter(db, last, { horizon: withDetails ? null : horizon, sub });
    const shown = rows.slice(0, PAGE);
    const next = rows[PAGE];
    const before = last?.sub;
    const subjects = groupBySubject(shown).map(
      (group): ScannedSubject => ({
        sub: group.sub,
        node,
        isLast: group.sub !== next?.sub,
        entries: group.rows.filter(({ exp }) => exp > horizon).map((row) => toEntry(row, withDetails)),
        malformed: 0,
        bytes: group.sub === before ? null : group.rows.reduce((sum, row) => sum + approximateBytes(row), 0),
        details: null,
      }),
    );
    const begun = subjects.filter((subject) => subject.sub !== before);
    if (withDetails && begun.length > 0) await addDetails(db, begun, { horizon, tolerance });
    if (subjects.length > 0) yield subjects;
    if (next === undefined) return;
    last = shown.at(-1);
  }
}

function rowsAfter(
  db: SqlExecutor,
  last: Row | undefined,
  only: { horizon: number | null; sub: string | undefined },
): Promise<Row[]> {
  let query = db
    .selectFrom('registry_entries')
    .select(['sub', 'jti', 'key_id', 'iat', 'exp', 'meta'])
    .orderBy('sub')
    .orderBy('jti')
    .orderBy('key_id')
    .orderBy('iat')
    .limit(PAGE + 1);
  if (only.horizon !== null) query = query.where('exp', '>', only.horizon);
  if (only.sub !== undefined) query = query.where('sub', '=', only.sub);
  if (last !== undefined) {
    const { sub, jti, key_id, iat } = last;
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('sub', 'jti', 'key_id', 'iat'), '>', tuple(sub, jti, key_id, iat)),
    );
  }
  return query.execute();
}

function groupBySubject(rows: readonly Row[]): Array<{ sub: string; rows: Row[] }> {
  const groups: Array<{ sub: string; rows: Row[] }> = [];
  for (const row of rows) {
    const group = groups.at(-1);
    if (group?.sub === row.sub) group.rows.push(row);
    else groups.push({ sub: row.sub, rows: [row] });
  }
  return groups;
}

async function addDetails(
  db: SqlExecutor,
  subjects: readonly ScannedSubject[],
  { horizon, tolerance }: { horizon: number; tolerance: number },
): Promise<void> {
  const subs = subjects.map(({ sub }) => sub);
  const ends = await db
    .selectFrom('registry_entries')
    .select((column) => [
      'sub',
      column.fn.max('exp').as('lastExp'),
      column.fn.countAll<number>().filterWhere('exp', '<=', horizon).as('expired'),
    ])
    .where('sub', 'in', subs)
    .groupBy('sub')
    .execute();
  const users = await db.selectFrom('registry_users').selectAll().where('sub', 'in', subs).execute();
  const endOf = new Map(ends.map((row) => [row.sub, row]));
  const userOf = new Map(users.map((row) => [row.sub, row]));
  for (const subject of subjects) {
    const end = endOf.get(subject.sub);
    const user = userOf.get(subject.sub);
    subject.details = {
      expiresAt: end === undefined ? null : end.lastExp + tolerance,
      expired: Number(end?.expired ?? 0),
      user:
        user === undefined
          ? null
          : { status: toUserStatus(user.status), version: user.version, until: user.known_until },
    };
  }
}

function toEntry(row: Row, withMeta: boolean): ScannedEntry {
  const { jti, key_id: keyId, iat, exp, meta } = row;
  return { jti, keyId, iat, exp, meta: withMeta && meta !== null ? parseMeta(meta) : null };
}

/** Counts the row's values, its index entry, and some overhead. */
function approximateBytes({ sub, jti, meta }: Row): number {
  return 2 * (Buffer.byteLength(sub) + Buffer.byteLength(jti)) + Buffer.byteLength(meta ?? '') + 40;
}
