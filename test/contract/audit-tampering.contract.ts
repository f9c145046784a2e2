import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditLogTable } from '../../src/adapters/sql/schema.js';
import { sqlDatabase } from '../../src/adapters/sql/stores/database.js';
import { auditHash } from '../../src/domain/audit-log/audit-chain.js';
import { PRUNE_ACTION, pruneTarget } from '../../src/domain/audit-log/prune-row.js';
import { type AuditReport, verifyAuditLog } from '../../src/domain/audit-log/verify-audit-log.js';
import type { AuditHead, Database, MacKey } from '../../src/domain/ports/index.js';
import { createMigrated, type SqlDatabaseUnderTest, type SqlEngine } from '../support/sql-engines.js';

const AT = 1_700_000_000;
const KEY: MacKey = { id: 'mk-1', secret: randomBytes(32) };
const ROWS = 30;
const TAMPERINGS = 100;
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));

/** Each value differs from that of every row. */
const CHANGES: Partial<AuditLogTable> = {
  ...{ seq: 1_000, at: AT + 1_000_000, actor: 'mallory', login: 'mallory@elsewhere', action: 'users.enable' },
  ...{ target: 'z', outcome: 'forced', reason: 'because', mac_key_id: 'mk-2' },
  ...{ previous_hash: 'f'.repeat(64), hash: 'e'.repeat(64) },
};

export function auditTamperingContract(engine: SqlEngine): void {
  describe(`tampering with the audit log: ${engine.name}`, () => {
    let opened: SqlDatabaseUnderTest;

    beforeEach(async () => {
      opened = await createMigrated(engine);
      for (let index = 1; index <= ROWS; index++) {
        // Some hosts have no keyring.
        await keyed(index % 4 === 0 ? null : KEY).transaction(({ auditLog }) =>
          auditLog.append({
            ...{ at: AT + index, actor: 'ops', action: 'users.add', target: `user-${index}` },
            ...{ outcome: 'done', reason: null },
          }),
        );
      }
    });
    afterEach(() => opened.close());

    function keyed(key: MacKey | null): Database {
      return sqlDatabase(opened.db, { author: { login: 'root@web-1', macKey: async () => key } });
    }

    function verify(): Promise<AuditReport> {
      const findKey = async (id: string) => (id === KEY.id ? KEY : null);
      return verifyAuditLog({ auditLog: keyed(KEY).auditLog, findKey });
    }

    const rows = () => opened.db.selectFrom('audit_log').selectAll().orderBy('seq').execute();
    const remove = (seq: number) => opened.db.deleteFrom('audit_log').where('seq', '=', seq).execute();
    const insert = (row: AuditLogTable) => opened.db.insertInto('audit_log').values(row).execute();
    const set = (seq: number, parts: Partial<AuditLogTable>) =>
      opened.db.updateTable('audit_log').set(parts).where('seq', '=', seq).execute();

    /** Changes the row, and makes its hash fit, as far as that is possible without the key. */
    async function setAndHash(row: AuditLogTable, parts: Partial<AuditLogTable>): Promise<void> {
      const { chainId } = await keyed(KEY).auditLog.head();
      const changed = { ...row, ...parts, mac_key_id: null };
      const { mac_key_id: macKeyId, previous_hash: previousHash, ...others } = changed;
      const hash = auditHash({ ...others, macKeyId, previousHash }, null, chainId);
      await set(row.seq, { ...parts, mac_key_id: null, hash });
    }

    async function insertAfterLast(row: AuditLogTable): Promise<void> {
      await insert({ ...row, seq: (await keyed(KEY).auditLog.head()).seq + 1 });
    }

    /** Removes the rows up to this one, as `audit prune` does. */
    async function prune(seq: number): Promise<void> {
      await keyed(KEY).transaction(async ({ auditLog }) => {
        const target = pruneTarget((await auditLog.lastUpTo(seq)) as AuditHead);
        const parts = { actor: 'ops', outcome: 'done', reason: null };
        await auditLog.append({ ...parts, at: AT + ROWS, action: PRUNE_ACTION, target });
        await auditLog.removeUpTo(seq, ROWS);
      });
    }

    type Tampering = (row: AuditLogTable, other: AuditLogTable) => Promise<unknown>;
    const tamperings: Array<[string, Tampering]> = [
      ...Object.entries(CHANGES).map(([column, value]): [string, Tampering] => [
        `changes ${column}`,
        (row) => set(row.seq, { [column]: value }),
      ]),
      ['changes target and hash', (row) => setAndHash(row, { target: 'z' })],
      ['deletes', (row) => remove(row.seq)],
      ['inserts before the first row', (row) => insert({ ...row, seq: 0 })],
      ['inserts after the last row', (row) => insertAfterLast(row)],
      [
        'swaps',
        async (row, other) => {
          await remove(row.seq);
          await set(other.seq, { seq: row.seq });
          await insert({ ...row, seq: other.seq });
        },
      ],
      [
        'overwrites with another row',
        async (row, { seq: _, ...other }) => {
          await set(row.seq, other);
        },
      ],
    ];

    test.each([
      ['a whole log', 0],
      ['a pruned log', 10],
    ])(`finds each of ${TAMPERINGS} random ones in %s, and names the row`, async (_, pruned) => {
      if (pruned > 0) await prune(pruned);
      const before = await rows();
      const last = before.at(-1)?.seq ?? 0;
      const random = randomFrom(SEED);
      expect((await verify()).faults).toEqual([]);
      for (let count = 0; count < TAMPERINGS; count++) {
        const [name, tamper] = tamperings[count % tamperings.length] as [string, Tampering];
        const [row, other] = twoOf(before, random);
        await tamper(row, other);
        const named = name.startsWith('inserts before') ? 0 : name.startsWith('inserts') ? last + 1 : row.seq;
        const { faults } = await verify();
        const isNamed = faults.some(({ firstSeq, lastSeq }) => firstSeq <= named && named <= lastSeq);
        expect(
          isNamed,
          `seed ${SEED}, ${name} row ${row.seq} (${other.seq}): ${JSON.stringify(faults)}`,
        ).toBe(true);

        await opened.db.deleteFrom('audit_log').execute();
        await opened.db.insertInto('audit_log').values(before).execute();
      }
      expect((await verify()).faults).toEqual([]);
    });

    test('finds a changed head', async () => {
      for (const parts of [{ seq: ROWS + 1 }, { seq: ROWS - 1 }, { hash: 'f'.repeat(64) }]) {
        const [head] = await opened.db.selectFrom('audit_head').selectAll().execute();
        await opened.db.updateTable('audit_head').set(parts).execute();
        expect((await verify()).faults, JSON.stringify(parts)).not.toEqual([]);
        await opened.db
          .updateTable('audit_head')
          .set(head as object)
          .execute();
      }
    });

    test('does not count rows that are appended meanwhile', async () => {
      const { auditLog } = keyed(KEY);
      const entry = { at: AT, actor: 'a', action: 'b', target: 'c', outcome: 'done', reason: null };
      const growing = {
        ...auditLog,
        rows: (range?: Parameters<typeof auditLog.rows>[0]) => {
          const found = auditLog.rows(range);
          return (async function* () {
            await keyed(KEY).transaction((stores) => stores.auditLog.append(entry));
            yield* found;
          })();
        },
      };
      const report = await verifyAuditLog({ auditLog: growing, findKey: async () => KEY });
      expect(report).toMatchObject({ faults: [], rows: ROWS });
    });
  });
}

function twoOf(rows: readonly AuditLogTable[], random: () => number): [AuditLogTable, AuditLogTable] {
  const first = Math.floor(random() * rows.length);
  const second = (first + 1 + Math.floor(random() * (rows.length - 1))) % rows.length;
  return [rows[first] as AuditLogTable, rows[second] as AuditLogTable];
}

/** A linear congruential generator (Numerical Recipes), so that a failure can be repeated. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
