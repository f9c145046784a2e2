import { auditHash } from '../../../domain/audit-log/audit-chain.js';
import type { AuditLog, AuditRow, MacKey } from '../../../domain/ports/index.js';
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
  async hashAt(seq) {
    const row = await db.selectFrom('audit_log').select('hash').where('seq', '=', seq).executeTakeFirst();
    return row?.hash ?? null;
  },

  /** Must run in the same transaction as the recorded change. */
  async append(entry) {
    const key = await author.macKey();
    // The update comes first. It locks the end of the chain, so the hash read next is the last one.
    await incrementCounter(db, 'audit_head', 'seq');
    const { seq: next, hash: previousHash } = await this.head();
    const macKeyId = key?.id ?? null;
    const write = async (seq: number) => {
      const row = { ...entry, seq, login: author.login, macKeyId, previousHash };
      const hash = auditHash(row, key);
      await db
        .insertInto('audit_log')
        .values({ seq, ...entry, login: row.login, mac_key_id: macKeyId, previous_hash: previousHash, hash })
        .execute();
      await db.updateTable('audit_head').set({ seq, hash }).where('id', '=', 1).execute();
    };
    try {
      await write(next);
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      // Rows beyond the head come from another writer. They must not block a revocation.
      await write(await firstFree(db, next + 1));
    }
  },

  async head() {
    const row = await db
      .selectFrom('audit_head')
      .select(['seq', 'hash'])
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
