import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sqlDatabase } from '../../src/adapters/sql/database.js';
import type { AuditEntry, Database } from '../../src/domain/ports.js';
import { createMigrated, type SqlDatabaseUnderTest, type SqlEngine } from '../support/sql-engines.js';

const AT = 1_700_000_000;

/** What every AuditLog does. */
export function auditLogContract(engine: SqlEngine): void {
  describe(`audit log: ${engine.name}`, () => {
    let opened: SqlDatabaseUnderTest;
    let database: Database;

    beforeEach(async () => {
      opened = await createMigrated(engine);
      database = sqlDatabase(opened.db);
    });
    afterEach(() => opened.close());

    function append(target: string, parts: Partial<AuditEntry> = {}): Promise<void> {
      return database.transaction(({ auditLog }) => auditLog.append({ ...entry(target), ...parts }));
    }

    function rows() {
      return opened.db.selectFrom('audit_log').selectAll().orderBy('seq').execute();
    }

    /** Walks the chain with nothing but the rows and the rule by which they are hashed. */
    async function assertChain(): Promise<void> {
      let previousHash = '0'.repeat(64);
      for (const [index, row] of (await rows()).entries()) {
        expect(row.seq).toBe(index + 1);
        expect(row.previous_hash).toBe(previousHash);
        const fields = [row.at, row.actor, row.action, row.target, row.outcome, row.reason];
        const text = JSON.stringify([previousHash, row.seq, ...fields]);
        expect(row.hash).toBe(createHash('sha256').update(text).digest('hex'));
        previousHash = row.hash;
      }
      const head = await opened.db.selectFrom('audit_head').selectAll().execute();
      expect(head).toEqual([{ id: 1, seq: (await rows()).length, hash: previousHash }]);
    }

    test('an entry is kept as it is', async () => {
      await append('k1', { actor: 'ops@host', action: 'keys.rotate', outcome: 'forced', reason: null });
      expect(await rows()).toMatchObject([
        {
          seq: 1,
          at: AT,
          actor: 'ops@host',
          action: 'keys.rotate',
          target: 'k1',
          outcome: 'forced',
          reason: null,
        },
      ]);
    });

    test('each row names the hash of the row before it, and both can be computed again', async () => {
      await append('first');
      await append('second', { reason: 'Gerät verloren 😀 "quoted", \\ and more' });
      await append('愛麗絲 ', { actor: 'ÖPS', reason: '' });
      expect(await rows()).toHaveLength(3);
      await assertChain();
    });

    test('the chain holds for the longest fields', async () => {
      await append('😀'.repeat(63), { actor: 'ö'.repeat(255), reason: 'x'.repeat(1000) });
      await append('after');
      await assertChain();
    });

    test('16 entries at once make one chain without a gap', async () => {
      const targets = Array.from({ length: 16 }, (_, index) => `target-${index}`);
      await Promise.all(targets.map((target) => append(target)));
      expect((await rows()).map(({ target }) => target).sort()).toEqual([...targets].sort());
      await assertChain();
    });

    test('an entry goes with its transaction, and the chain goes on without a gap', async () => {
      await append('kept');
      const work = database.transaction(async ({ auditLog }) => {
        await auditLog.append(entry('rolled back'));
        throw new Error('the command failed');
      });
      await expect(work).rejects.toThrow('the command failed');
      await append('kept too');
      expect((await rows()).map(({ target }) => target)).toEqual(['kept', 'kept too']);
      await assertChain();
    });

    test('entries that fail beside entries that pass leave no gap', async () => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 16 }, (_, index) =>
          database.transaction(async ({ auditLog }) => {
            await auditLog.append(entry(`target-${index}`));
            if (index % 3 === 0) throw new Error('the command failed');
          }),
        ),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
      expect(await rows()).toHaveLength(10);
      await assertChain();
    });

    test('two entries of one transaction follow each other', async () => {
      await database.transaction(async ({ auditLog }) => {
        await auditLog.append(entry('one'));
        await auditLog.append(entry('two'));
      });
      expect((await rows()).map(({ target }) => target)).toEqual(['one', 'two']);
      await assertChain();
    });
  });
}

function entry(target: string): AuditEntry {
  return { at: AT, actor: 'test', action: 'users.add', target, outcome: 'done', reason: null };
}
