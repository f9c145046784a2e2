import { auditHash } from '../../../domain/audit-log/audit-chain.js';
import type { AuditEntry, AuditLog, AuditRow, MacKey } from '../../../domain/ports/index.js';
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
        const row = { ...entry, seq: firstSeq + index, login: author.login, macKeyId, previousHash };
        hash = auditHash(row, key, chainId);
        const { seq, login } = row;
        return { seq, ...entry, login, mac_key_id: macKeyId, previous_hash: previousHash, hash };
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

  async *rows() {
    let after = Number.MIN_SAFE_INTEGER;
    for (;;) {
      const page = await db
        .selectFrom('audit_log')
        .selectAll()
        .where('seq', '>', after)
        .orderBy('seq')
        .limit(PAGE)
        .execute();
      yield* page.map(auditRow);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.seq;
    }
  },
});

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
