import { type Kysely, sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Schema } from '../../../../src/adapters/sql/schema.js';
import { sqlDatabase } from '../../../../src/adapters/sql/stores/database.js';
import { openMysqlWithPassword } from '../../../support/open-mysql.js';
import { type SilencingProxy, startSilencingProxy } from '../../../support/proxies/silencing-proxy.js';
import { createMigrated, mariadb, type SqlDatabaseUnderTest } from '../../../support/sql-engines.js';

const TIMEOUT_MS = 2_000;
const LONGEST_MS = TIMEOUT_MS + 1_500;
const AT = 1_700_000_000;

/** The connection delivers neither answers nor its end. */
describe('a MySQL server that falls silent', () => {
  let opened: SqlDatabaseUnderTest;
  let proxy: SilencingProxy;
  let client: { db: Kysely<Schema>; close(): Promise<void> };

  beforeEach(async () => {
    opened = await createMigrated(mariadb);
    proxy = await startSilencingProxy(opened.address);
    client = openMysqlWithPassword(proxy.url, TIMEOUT_MS);
  });
  afterEach(async () => {
    await proxy.stop();
    await client.close();
    await opened.close();
  });

  async function expectUnreachable(work: Promise<unknown>, longestMs = LONGEST_MS): Promise<void> {
    const startedAt = performance.now();
    await expect(work).rejects.toMatchObject({ kind: 'unavailable', code: 'ERR_MYSQL_UNREACHABLE' });
    expect(performance.now() - startedAt).toBeLessThan(longestMs);
  }

  function ping(db: Kysely<Schema>): Promise<unknown> {
    return sql`select 1`.execute(db);
  }

  test.each(['SET SESSION TRANSACTION', 'sql_mode', 'select 1'])(
    'at %j ends a query in time',
    async (text) => {
      proxy.fallSilentAt(text);
      await expectUnreachable(ping(client.db));
      expect(proxy.silenced()).toBe(1);
    },
  );

  test.each(['begin', 'insert into `users`', 'audit_head', 'commit'])(
    'at %j ends a transaction in time, its rollback too',
    async (text) => {
      proxy.fallSilentAt(text);
      const work = sqlDatabase(client.db).transaction(async ({ users, auditLog }) => {
        await users.add({ sub: 'alice', name: null, at: AT });
        await auditLog.append({ at: AT, actor: 'a', action: 'b', target: 'c', outcome: 'd', reason: null });
      });
      await expectUnreachable(work);
    },
  );

  test('fails many concurrent queries within the timeout', async () => {
    proxy.fallSilentAt('select 1');
    await Promise.all(Array.from({ length: 40 }, () => expectUnreachable(ping(client.db))));
  });

  test('gets the next query on a new connection once it is back', async () => {
    proxy.fallSilentAt('select 1');
    await expectUnreachable(ping(client.db));
    proxy.fallSilentAt('select 2');
    await ping(client.db);
  });

  test('does not prevent closing, idle or during a query', async () => {
    await ping(client.db);
    const query = sql`select sleep(0.5)`.execute(client.db).catch((error) => error);
    await ping(client.db);
    proxy.fallSilent();
    const startedAt = performance.now();
    await client.close();
    expect(performance.now() - startedAt).toBeLessThan(LONGEST_MS);
    expect(await query).toMatchObject({ code: 'ERR_MYSQL_UNREACHABLE' });
  });
});

describe('a MySQL connection', () => {
  let opened: SqlDatabaseUnderTest;
  beforeEach(async () => {
    opened = await mariadb.create();
  });
  afterEach(() => opened.close());

  test('killed during a transaction is reported as an unreachable server', async () => {
    const work = opened.db.transaction().execute(async (transaction) => {
      const { rows } = await sql<{ id: number }>`select connection_id() as id`.execute(transaction);
      await sql`kill ${sql.lit(Number(rows[0]?.id))}`.execute(opened.connect());
      await sql`select 1`.execute(transaction);
    });
    await expect(work).rejects.toMatchObject({ kind: 'unavailable' });
  });

  test('runs no query if its session settings failed', async () => {
    const misheard = { text: 'STRICT_ALL_TABLES', as: 'STRICT_NO_TABLES_' };
    const proxy = await startSilencingProxy(opened.address, misheard);
    const client = openMysqlWithPassword(proxy.url, TIMEOUT_MS);
    try {
      for (let attempt = 0; attempt < 6; attempt++) {
        await expect(sql`select 1`.execute(client.db)).rejects.toMatchObject({
          ...{ kind: 'unavailable', code: 'ERR_MYSQL_SESSION_REFUSED' },
          details: { driverCode: 'ER_WRONG_VALUE_FOR_VAR' },
        });
      }
    } finally {
      await client.close();
      await proxy.stop();
    }
  });
});
