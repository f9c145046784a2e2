import { auditHash } from '../../../domain/audit-log/audit-chain.js';
import type { AuditEntry, AuditFilter, AuditLog, AuditRow, MacKey } from '../../../domain/ports/index.js';
import type { AuditLogTable, SqlExecutor } from '../schema.js';
import { isDuplicateKey } from './conflicts.js';
import { checkedRow, incrementCounter } from './single-row.js';

export interface AuditAuthor {
  login: string;
  /** Null if the rows cannot be authenticated. */
  macKey(): Promise<MacKey | null>;
}

const PAGE = 1_000;

export const sqlAuditLog = (db: SqlExecutor, author: AuditAuthor): AuditLog => ({
  async lastUpTo(seq) {
    const rows = db.selectFrom('audit_log').select(['seq', 'hash']).where('seq', '<=', seq);
    return (await rows.orderBy('seq', 'desc').limit(1).executeTakeFirst()) ?? null;
  },

  /** Must run in the same transaction as the recorded change. */
  async append(...entries) {
    if (entries.length === 0) return;
    const key = await author.macKey();
    // The update comes first. It locks the end of the chain, so the hash read next is the last one.
    await incrementCounter(db, 'audit_head', 'seq');
    const { seq: next, hash: lastHash, chainId } = await this.head();
    const macKeyId = key?.id ?? null;
    const write = async (some: readonly AuditEntry[], firstSeq: number, hashBefore: string) => {
      let hash = hashBefore;
      const rows = some.map((entry, index) => {
        const previousHash = hash;
        const details = entry.details === undefined ? null : JSON.stringify(entry.details);
        const row = { ...entry, details, seq: firstSeq + index, login: author.login };
        hash = auditHash({ ...row, macKeyId, previousHash }, key, chainId);
        return { ...row, mac_key_id: macKeyId, previous_hash: previousHash, hash };
      });
      await db.insertInto('audit_log').values(rows).execute();
      const head = { seq: firstSeq + some.length - 1, hash };
      await db.updateTable('audit_head').set(head).where('id', '=', 1).execute();
      return head;
    };
    try {
      await write(entries, next, lastHash);
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      // Rows beyond the head come from another writer. They must not block a revocation.
      let head = { seq: next - 1, hash: lastHash };
      for (const entry of entries) head = await write([entry], await firstFree(db, head.seq + 1), head.hash);
    }
  },

  async head() {
    const row = await db
      .selectFrom('audit_head')
      .select(['seq', 'hash', 'chain_id as chainId'])
      .where('id', '=', 1)
      .executeTakeFirst();
    return checkedRow(row, 'audit_head', ['seq']);
  },

  async *rows({ firstSeq, lastSeq } = { firstSeq: Number.MIN_SAFE_INTEGER, lastSeq: LAST }) {
    const page = (from: number) =>
      db
        .selectFrom('audit_log')
        .selectAll()
        .where('seq', '>=', from)
        .where('seq', '<=', lastSeq)
        .orderBy('seq')
        .limit(PAGE)
        .execute();
    yield* pages(page, firstSeq, ({ seq }) => seq + 1);
  },

  async *list(filter) {
    const page = (upTo: number) =>
      matching(db, filter).where('seq', '<=', upTo).orderBy('seq', 'desc').limit(PAGE).execute();
    for await (const row of pages(page, LAST, ({ seq }) => seq - 1)) if (isExactly(row, filter)) yield row;
  },

  async outliers() {
    const range = db
      .selectFrom('audit_log')
      .select((column) => [column.fn.min('seq').as('firstSeq'), column.fn.max('seq').as('lastSeq')]);
    // One statement sees one moment, so a row that is appended meanwhile is not counted.
    const head = db.selectFrom('audit_head').select('seq').where('id', '=', 1);
    const found = await Promise.all([
      range.where('seq', '<', 1).executeTakeFirst(),
      range.where('seq', '>', head).executeTakeFirst(),
    ]);
    return found.flatMap((one) =>
      one === undefined || one.firstSeq === null
        ? []
        : [{ firstSeq: Number(one.firstSeq), lastSeq: Number(one.lastSeq) }],
    );
  },

  async removeUpTo(seq, most) {
    const rows = db.selectFrom('audit_log').select('seq').where('seq', '<=', seq).orderBy('seq');
    const end =
      (
        await rows
          .limit(1)
          .offset(most - 1)
          .executeTakeFirst()
      )?.seq ?? seq;
    const { numDeletedRows } = await db.deleteFrom('audit_log').where('seq', '<=', end).executeTakeFirst();
    return { removed: Number(numDeletedRows), prunedUpTo: end };
  },
});

/** Another program may have written any number, but none beyond it can be compared. */
const LAST = Number.MAX_SAFE_INTEGER;

async function* pages(
  read: (from: number) => Promise<AuditLogTable[]>,
  first: number,
  next: (row: AuditLogTable) => number,
): AsyncGenerator<AuditRow> {
  for (let from = first; ; ) {
    const page = await read(from);
    yield* page.map(auditRow);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    from = next(last);
  }
}

function matching(db: SqlExecutor, { at, since, until, actor, action, target }: AuditFilter) {
  let query = db.selectFrom('audit_log').selectAll();
  if (at !== undefined) query = query.where('at', 'in', at);
  if (since !== undefined) query = query.where('at', '>=', since);
  if (until !== undefined) query = query.where('at', '<=', until);
  if (actor !== undefined) query = query.where('actor', '=', actor);
  if (action !== undefined) query = query.where('action', '=', action);
  if (target !== undefined) query = query.where('target', '=', target);
  return query;
}

/** MySQL's collations take `Alice` for `alice`. */
function isExactly(row: AuditRow, { actor, action, target }: AuditFilter): boolean {
  return (
    (actor === undefined || row.actor === actor) &&
    (action === undefined || row.action === action) &&
    (target === undefined || row.target === target)
  );
}

async function firstFree(db: SqlExecutor, from: number): Promise<number> {
  for (let seq = from; ; seq += PAGE) {
    const found = await db
      .selectFrom('audit_log')
      .select('seq')
      .where('seq', '>=', seq)
      .orderBy('seq')
      .limit(PAGE)
      .execute();
    const gap = found.findIndex((row, index) => row.seq !== seq + index);
    if (gap !== -1) return seq + gap;
    if (found.length < PAGE) return seq + found.length;
  }
}

function auditRow(row: AuditLogTable): AuditRow {
  const { mac_key_id: macKeyId, previous_hash: previousHash, ...others } = row;
  return { ...others, macKeyId, previousHash };
}
