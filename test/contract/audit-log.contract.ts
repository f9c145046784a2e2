import { createHash, createHmac, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditLogTable, Schema } from '../../src/adapters/sql/schema.js';
import { sqlDatabase } from '../../src/adapters/sql/stores/database.js';
import { verifyAuditChain } from '../../src/domain/audit-log/audit-chain.js';
import type { AuditEntry, AuditRow, Database, MacKey } from '../../src/domain/ports/index.js';
import { createMigrated, type SqlDatabaseUnderTest, type SqlEngine } from '../support/sql-engines.js';

const AT = 1_700_000_000;
const LOGIN = 'root@web-1';
const KEY: MacKey = { id: 'mk-1', secret: randomBytes(32) };

export function auditLogContract(engine: SqlEngine): void {
  describe(`audit log: ${engine.name}`, () => {
    let opened: SqlDatabaseUnderTest;
    let database: Database;

    beforeEach(async () => {
      opened = await createMigrated(engine);
      database = keyed(KEY);
    });
    afterEach(() => opened.close());

    function keyed(key: MacKey | null): Database {
      return sqlDatabase(opened.db, { author: { login: LOGIN, macKey: async () => key } });
    }

    function append(target: string, parts: Partial<AuditEntry> = {}): Promise<void> {
      return database.transaction(({ auditLog }) => auditLog.append({ ...entry(target), ...parts }));
    }

    function rows() {
      return opened.db.selectFrom('audit_log').selectAll().orderBy('seq').execute();
    }

    /** Checks the chain with only the rows, the key, and the documented hash rule. */
    async function assertChain(): Promise<void> {
      let previousHash = '0'.repeat(64);
      const head = await opened.db.selectFrom('audit_head').selectAll().execute();
      const chainId = head[0]?.chain_id;
      for (const [index, row] of (await rows()).entries()) {
        expect(row.seq).toBe(index + 1);
        expect(row.previous_hash).toBe(previousHash);
        const fields = [row.at, row.actor, row.login, row.action, row.target, row.outcome, row.reason];
        const text = JSON.stringify([chainId, previousHash, row.seq, row.mac_key_id, ...fields]);
        const digest = row.mac_key_id === null ? createHash('sha256') : createHmac('sha256', KEY.secret);
        expect(row.hash).toBe(digest.update(text).digest('hex'));
        previousHash = row.hash;
      }
      expect(chainId).toMatch(/^[0-9a-f-]{36}$/);
      expect(head).toEqual([{ id: 1, chain_id: chainId, seq: (await rows()).length, hash: previousHash }]);
      expect(await faults()).toEqual([]);
    }

    async function findings() {
      const { auditLog } = database;
      const findKey = async (id: string) => (id === KEY.id ? KEY : null);
      return verifyAuditChain({ rows: auditLog.rows(), head: await auditLog.head(), findKey });
    }

    async function faults() {
      return (await findings()).filter(({ finding }) => finding !== 'unauthenticated');
    }

    test('keeps every field of an entry', async () => {
      await append('k1', { actor: 'ops@host', action: 'keys.rotate', outcome: 'forced', reason: null });
      expect(await rows()).toMatchObject([
        {
          seq: 1,
          at: AT,
          actor: 'ops@host',
          login: LOGIN,
          action: 'keys.rotate',
          target: 'k1',
          outcome: 'forced',
          reason: null,
          mac_key_id: KEY.id,
        },
      ]);
    });

    test('keeps what an entry covers, and authenticates it', async () => {
      await append('alice j1', { details: { sub: 'alice', jti: 'j1', kid: undefined } });
      const [row] = await rows();
      expect(row?.details).toBe('{"sub":"alice","jti":"j1"}');
      expect(await findings()).toEqual([]);
      await opened.db.updateTable('audit_log').set({ details: null }).execute();
      expect(await findings()).toMatchObject([{ finding: 'changed' }]);
    });

    test.each([[[2]], [[2, 3, 5]], [[2, 2 ** 53 - 1]]])(
      'writes past rows that another account added behind the last one: %j',
      async (planted) => {
        await append('first');
        const [first] = await rows();
        for (const seq of planted) {
          await opened.db
            .insertInto('audit_log')
            .values({ ...(first as AuditLogTable), seq })
            .execute();
        }
        await append('second');
        await append('third');
        const own = (await rows()).filter(({ target }) => target !== 'first');
        expect(own.map(({ target }) => target)).toEqual(['second', 'third']);
        for (const seq of planted) {
          const blamed = (await faults()).some(({ firstSeq, lastSeq }) => firstSeq <= seq && seq <= lastSeq);
          expect(blamed, `row ${seq}`).toBe(true);
        }
        for (const { seq } of own) {
          const blamed = (await faults()).some(({ firstSeq, lastSeq }) => firstSeq <= seq && seq <= lastSeq);
          expect(blamed, `row ${seq}`).toBe(false);
        }
      },
    );

    test('lists the rows of these times only', async () => {
      for (const [index, target] of ['first', 'second', 'third', 'fourth'].entries())
        await append(target, { at: AT + index });
      const found: string[] = [];
      for await (const { target } of database.auditLog.list({ at: [AT + 3, AT + 1, AT + 9] }))
        found.push(target);
      expect(found).toEqual(['fourth', 'second']);
    });

    test('chains a row without a key by SHA-256, unauthenticated', async () => {
      await append('first');
      await keyed(null).transaction(({ auditLog }) => auditLog.append(entry('second')));
      await append('third');

      expect((await rows()).map((row) => row.mac_key_id)).toEqual([KEY.id, null, KEY.id]);
      await assertChain();
      expect(await findings()).toEqual([{ finding: 'unauthenticated', firstSeq: 2, lastSeq: 2 }]);
    });

    test('fetches the key before the transaction, so that a slow vault holds no locks', async () => {
      const order: string[] = [];
      const macKey = async () => {
        order.push('key');
        return KEY;
      };
      await sqlDatabase(opened.db, { author: { login: LOGIN, macKey } }).transaction(async ({ auditLog }) => {
        order.push('transaction');
        await auditLog.append(entry('first'));
      });
      expect(order.slice(0, 2)).toEqual(['key', 'transaction']);
    });

    test('reads rows in their order, over several pages', async () => {
      await database.transaction(async ({ auditLog }) => {
        for (let index = 1; index <= 1_001; index++) await auditLog.append(entry(`target-${index}`));
      });
      const read: AuditRow[] = [];
      for await (const row of database.auditLog.rows()) read.push(row);
      expect(read.map(({ seq, target }) => `${seq} ${target}`)).toEqual(
        Array.from({ length: 1_001 }, (_, index) => `${index + 1} target-${index + 1}`),
      );
      expect(read[1]).toMatchObject({ ...entry('target-2'), login: LOGIN, macKeyId: KEY.id });
      expect(read[1]?.previousHash).toBe(read[0]?.hash);
      await assertChain();
    });

    test('does not verify as the log of another installation with the same key', async () => {
      const other = await createMigrated(engine);
      try {
        const theirs = sqlDatabase(other.db, { author: { login: LOGIN, macKey: async () => KEY } });
        for (const target of ['a', 'b'])
          await theirs.transaction(({ auditLog }) => auditLog.append(entry(target)));
        const copied = await other.db.selectFrom('audit_log').selectAll().execute();
        await opened.db.insertInto('audit_log').values(copied).execute();
        const { seq, hash } = await theirs.auditLog.head();
        await opened.db.updateTable('audit_head').set({ seq, hash }).execute();
        expect(await findings()).toEqual([{ finding: 'changed', firstSeq: 1, lastSeq: 2 }]);
      } finally {
        await other.close();
      }
    });

    describe('a log that another program has changed', () => {
      beforeEach(async () => {
        for (const target of ['a', 'b', 'c', 'd', 'e']) await append(target, { details: { sub: target } });
      });

      test.each<[keyof Schema['audit_log'], string | number | null]>([
        ['at', AT + 1],
        ['actor', 'mallory'],
        ['login', 'mallory@elsewhere'],
        ['action', 'users.enable'],
        ['target', 'z'],
        ['outcome', 'forced'],
        ['reason', 'because'],
        ['details', '{}'],
        ['mac_key_id', null],
        ['previous_hash', 'f'.repeat(64)],
        ['hash', 'f'.repeat(64)],
      ])('finds the row with a changed %s', async (column, value) => {
        await opened.db
          .updateTable('audit_log')
          .set({ [column]: value })
          .where('seq', '=', 3)
          .execute();
        expect(await findings()).toEqual([{ finding: 'changed', firstSeq: 3, lastSeq: 3 }]);
      });

      test('finds a removed row', async () => {
        await opened.db.deleteFrom('audit_log').where('seq', 'in', [2, 3]).execute();
        expect(await findings()).toEqual([{ finding: 'removed', firstSeq: 2, lastSeq: 3 }]);
      });

      test('finds rows removed at the end', async () => {
        await opened.db.deleteFrom('audit_log').where('seq', '>', 3).execute();
        expect(await findings()).toEqual([{ finding: 'removed', firstSeq: 4, lastSeq: 5 }]);
      });

      test('finds a row added after the end', async () => {
        const [last] = (await rows()).slice(-1);
        if (last === undefined) throw new Error('There are no rows.');
        await opened.db
          .insertInto('audit_log')
          .values({ ...last, seq: 6, previous_hash: last.hash })
          .execute();
        expect(await findings()).toEqual([{ finding: 'inserted', firstSeq: 6, lastSeq: 6 }]);
      });
    });

    test('each row has the hash of the previous row, and both can be recomputed', async () => {
      await append('first');
      await append('second', { reason: 'Gerät verloren 😀 "quoted", \\ and more' });
      await append('愛麗絲 ', { actor: 'ÖPS', reason: '' });
      expect(await rows()).toHaveLength(3);
      await assertChain();
    });

    test('chains rows with the longest fields', async () => {
      await append('😀'.repeat(63), { actor: 'ö'.repeat(255), reason: 'x'.repeat(1000) });
      await append('after');
      await assertChain();
    });

    test('16 concurrent entries make one chain without a gap', async () => {
      const targets = Array.from({ length: 16 }, (_, index) => `target-${index}`);
      await Promise.all(targets.map((target) => append(target)));
      expect((await rows()).map(({ target }) => target).sort()).toEqual([...targets].sort());
      await assertChain();
    });

    test('an entry is rolled back with its transaction, and leaves no gap', async () => {
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

    test('concurrent rollbacks leave no gap', async () => {
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

    test.each([[[]], [[3]]])(
      'chains entries that are appended together, also past added rows: %j',
      async (planted) => {
        await append('first');
        const [first] = await rows();
        for (const seq of planted) {
          await opened.db
            .insertInto('audit_log')
            .values({ ...(first as AuditLogTable), seq })
            .execute();
        }
        const targets = ['a', 'b', 'c'];
        await database.transaction(({ auditLog }) =>
          auditLog.append(...targets.map((target) => entry(target))),
        );
        await database.transaction(({ auditLog }) => auditLog.append());
        await append('last');
        const own = (await rows()).filter(({ target }) => target !== 'first');
        expect(own.map(({ target }) => target)).toEqual([...targets, 'last']);
        if (planted.length === 0) await assertChain();
      },
    );

    test('chains two entries of one transaction', async () => {
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
