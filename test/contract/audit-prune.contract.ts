import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditLogTable } from '../../src/adapters/sql/schema.js';
import { sqlDatabase } from '../../src/adapters/sql/stores/database.js';
import { type PrunePorts, planPrune, pruneAuditLog } from '../../src/domain/audit-log/prune-audit-log.js';
import { verifyAuditLog } from '../../src/domain/audit-log/verify-audit-log.js';
import type { MacKey } from '../../src/domain/ports/index.js';
import { ManualClock } from '../support/clock.js';
import { createMigrated, type SqlDatabaseUnderTest, type SqlEngine } from '../support/sql-engines.js';

const KEY: MacKey = { id: 'mk-1', secret: randomBytes(32) };
const ROWS = 30;
const REASON = { reason: null };

export function auditPruneContract(engine: SqlEngine): void {
  describe(`pruning the audit log: ${engine.name}`, () => {
    let opened: SqlDatabaseUnderTest;
    let ports: PrunePorts;
    let clock: ManualClock;

    beforeEach(async () => {
      opened = await createMigrated(engine);
      clock = new ManualClock();
      const findKey = async (id: string) => (id === KEY.id ? KEY : null);
      ports = {
        database: sqlDatabase(opened.db, { author: { login: 'root@web-1', macKey: async () => KEY } }),
        ...{
          clock,
          actor: 'ops',
          guard: { assertCurrent: async () => 0 },
          macKeys: { current: async () => KEY, find: findKey },
        },
      };
      for (let index = 1; index <= ROWS; index++) {
        await append(`user-${index}`);
        clock.advance(1);
      }
    });
    afterEach(() => opened.close());

    const append = (...targets: string[]) =>
      ports.database.transaction(({ auditLog }) =>
        auditLog.append(
          ...targets.map((target) => ({
            ...{ at: clock.now(), actor: 'ops', action: 'users.add', target, outcome: 'done', reason: null },
          })),
        ),
      );
    /** The rows up to `seq` are the ones to remove. */
    const planUpTo = (seq: number) => planPrune(ports, ROWS + 1 - seq, {});
    const seqs = async () =>
      (await opened.db.selectFrom('audit_log').select('seq').orderBy('seq').execute()).map(({ seq }) => seq);
    const verify = () => verifyAuditLog({ auditLog: ports.database.auditLog, findKey: ports.macKeys.find });

    test('a prune that was overtaken by a longer one changes nothing, and the log stays valid', async () => {
      const plan = await planUpTo(10);
      await pruneAuditLog(ports, await planUpTo(20), REASON);
      const before = await seqs();
      expect(await pruneAuditLog(ports, plan, REASON)).toMatchObject({ removed: 0, isOvertaken: true });
      expect(await seqs()).toEqual(before);
      expect(await verify()).toMatchObject({ faults: [], start: { seq: 20 } });
    });

    test('a prune that was overtaken by a shorter one removes the rest', async () => {
      const plan = await planUpTo(20);
      await pruneAuditLog(ports, await planUpTo(10), REASON);
      expect(await pruneAuditLog(ports, plan, REASON)).toMatchObject({ removed: 10, prunedUpTo: 20 });
      expect(await verify()).toMatchObject({ faults: [], start: { seq: 20 } });
    });

    test('of several prunes at once, each one leaves a valid log', async () => {
      const plans = await Promise.all([5, 25, 10, 20, 15].map(planUpTo));
      const outcomes = await Promise.all(plans.map((plan) => pruneAuditLog(ports, plan, REASON)));
      expect(outcomes.reduce((sum, { removed }) => sum + removed, 0)).toBe(25);
      expect(await verify()).toMatchObject({ faults: [], start: { seq: 25 } });
    });

    test('a row that was changed after the plan is not pruned', async () => {
      const plan = await planUpTo(10);
      const set = { hash: 'f'.repeat(64) };
      await opened.db.updateTable('audit_log').set(set).where('seq', '=', 10).execute();
      await expect(pruneAuditLog(ports, plan, REASON)).rejects.toMatchObject({
        code: 'ERR_AUDIT_LOG_FAULTY',
      });
      expect(await seqs()).toHaveLength(ROWS);
    });

    test('an interrupted prune reports the last row that it removed', async () => {
      await append(...Array.from({ length: 1_200 }, (_, index) => `more-${index}`));
      const plan = await planPrune(ports, 0, {});
      const interrupted = { ...REASON, signal: AbortSignal.abort() };
      expect(await pruneAuditLog(ports, plan, interrupted)).toMatchObject({
        ...{ removed: 1_000, prunedUpTo: 1_000 },
      });
      expect((await verify()).faults).toEqual([]);
      const rest = await planPrune(ports, 0, {});
      expect(await pruneAuditLog(ports, rest, REASON)).toMatchObject({ removed: 231, prunedUpTo: 1_231 });
      expect((await verify()).faults).toEqual([]);
    });

    const appendMany = async (times: number) => {
      for (let time = 0; time < times; time++)
        await append(...Array.from({ length: 1_200 }, (_, index) => `more-${index}`));
    };

    test('a row that is changed during the prune is not pruned', async () => {
      await appendMany(1);
      const plan = await planPrune(ports, 0, {});
      const tamper = () =>
        opened.db
          .updateTable('audit_log')
          .set({ hash: 'f'.repeat(64) })
          .where('seq', '=', 1_230);
      const guard = { assertCurrent: () => tamper().execute() };
      await expect(pruneAuditLog({ ...ports, guard }, plan, REASON)).rejects.toMatchObject({
        code: 'ERR_AUDIT_LOG_FAULTY',
      });
      expect((await seqs()).slice(0, 2)).toEqual([1_001, 1_002]);
    });

    test('a verification takes what a running prune removes for pruned', async () => {
      await appendMany(3);
      const plan = await planPrune(ports, 0, {});
      await pruneAuditLog(ports, plan, { ...REASON, signal: AbortSignal.abort() });
      const { auditLog } = ports.database;
      let walks = 0;
      const verified = await verifyAuditLog({
        findKey: ports.macKeys.find,
        auditLog: {
          ...auditLog,
          rows: async function* (range) {
            walks += 1;
            let isPruned = walks > 2;
            for await (const row of auditLog.rows(range)) {
              yield row;
              // Also removes rows after the page that was read.
              if (!isPruned) await auditLog.removeUpTo(3_500, 1_200);
              isPruned = true;
            }
          },
        },
      });
      expect({ walks, verified }).toMatchObject({
        walks: 3,
        verified: { faults: [], start: { seq: 3_400 } },
      });
    });

    test('a gap of a billion rows costs no statements', { timeout: 30_000 }, async () => {
      const [last] = await opened.db.selectFrom('audit_log').selectAll().where('seq', '=', ROWS).execute();
      const planted = { ...(last as AuditLogTable), seq: 10 ** 12 };
      await opened.db.insertInto('audit_log').values(planted).execute();
      const head = { seq: planted.seq, hash: planted.hash };
      await opened.db.updateTable('audit_head').set(head).execute();
      const plan = await planPrune(ports, 0, { force: true });
      expect(await pruneAuditLog(ports, plan, REASON)).toMatchObject({
        ...{ removed: ROWS + 1, prunedUpTo: planted.seq },
      });
    });
  });
}
