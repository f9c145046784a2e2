import { createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { migrate } from '../../../../src/adapters/sql/migrations/migrator.js';
import { sqlDatabase } from '../../../../src/adapters/sql/stores/database.js';
import { openMysqlWithPassword } from '../../../support/open-mysql.js';
import { createMigrated, mariadb, type SqlDatabaseUnderTest } from '../../../support/sql-engines.js';

const AT = 1_700_000_000;
const BUSY = { kind: 'unavailable', code: 'ERR_DATABASE_CONFLICT' };

describe('a lock of another session', () => {
  let opened: SqlDatabaseUnderTest;
  const closers: Array<() => Promise<void>> = [];
  beforeEach(async () => {
    opened = await createMigrated(mariadb);
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    await opened.close();
  });

  function connect(timeoutMs: number) {
    const { db, close } = openMysqlWithPassword(opened.address, timeoutMs);
    closers.push(close);
    return db;
  }

  /**
   * Runs the statements in a separate session. The returned function releases its locks, and so does the end
   * of the test.
   */
  async function lockWith(...statements: string[]): Promise<() => void> {
    const session = await createConnection(opened.address);
    closers.push(async () => session.destroy());
    for (const statement of statements) await session.query(statement);
    return () => session.destroy();
  }

  const appendTo = (db: ReturnType<typeof connect>) =>
    sqlDatabase(db).transaction(({ auditLog }) =>
      auditLog.append({ at: AT, actor: 'a', action: 'b', target: 'c', outcome: 'd', reason: null }),
    );

  test.each([
    { what: 'a row', statements: ['begin', 'select * from audit_head for update'] },
    { what: 'a table', statements: ['lock tables audit_head write'] },
  ])('on $what is reported as a conflict in about the timeout', async ({ statements }) => {
    await lockWith(...statements);
    for (const timeoutMs of [1_000, 2_000, 5_000]) {
      const startedAt = performance.now();
      await expect(appendTo(connect(timeoutMs))).rejects.toMatchObject(BUSY);
      expect(performance.now() - startedAt).toBeLessThan(timeoutMs * 1.5 + 1_500);
    }
  });

  test('that is released in time is waited for', async () => {
    const release = await lockWith('begin', 'select * from audit_head for update');
    const work = appendTo(connect(4_000));
    // Longer than the server's first wait, which is half of the timeout.
    setTimeout(release, 2_500);
    await work;
    expect(await opened.db.selectFrom('audit_log').selectAll().execute()).toHaveLength(1);
  });

  test('on the migrations is waited for, then reported as a conflict', async () => {
    const release = await lockWith('begin', 'update jwtctl_migration_lock set is_locked = is_locked');
    await expect(migrate(connect(2_000), 'mysql')).rejects.toMatchObject(BUSY);
    const work = migrate(connect(4_000), 'mysql');
    setTimeout(release, 2_500);
    expect(await work).toEqual([]);
  });
});
