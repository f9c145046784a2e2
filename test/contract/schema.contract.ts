import { type Kysely, sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { migrate, schemaStatus } from '../../src/adapters/sql/migrations/migrator.js';
import type { Schema } from '../../src/adapters/sql/schema.js';
import { sqlDatabase } from '../../src/adapters/sql/stores/database.js';
import { assertCurrent } from '../../src/domain/model/schema-status.js';
import { runAtOnce } from '../support/processes.js';
import type { SqlDatabaseUnderTest, SqlEngine } from '../support/sql-engines.js';

const DURABLE = [
  '001_keystore',
  '002_keystore_revision',
  '003_users',
  '004_security_log',
  '005_audit_log',
  '006_audit_head',
];
const VERIFIERS_UNTIL = '012_security_log_verifiers_until';
const LATER = ['014_longest_refresh_ttl', '015_security_log_except', '016_users_disabled_until'];
const LATEST = ['018_audit_log_at', '019_audit_log_details', '020_event_consumers'];
const MIGRATIONS = {
  mysql: [...DURABLE, '010_keystore_kid', '011_security_log_kid', VERIFIERS_UNTIL, ...LATER, ...LATEST],
  sqlite: [
    ...DURABLE,
    ...['007_registry_entries', '008_registry_users', '009_registry_fleet', VERIFIERS_UNTIL],
    '013_registry_families',
    ...LATER,
    '017_registry_entries_last_seen',
    ...LATEST,
  ],
};

const MIGRATE = `
  import { migrate } from './src/adapters/sql/migrations/migrator.js';
  import { openMysqlWithPassword } from './test/support/open-mysql.js';
  import { openSqlite } from './src/adapters/sql/sqlite/open-sqlite.js';
  const { engine, address } = JSON.parse(process.argv[2]);
  const { db, close } =
    engine === 'sqlite'
      ? openSqlite({ file: address, timeoutMs: 10_000 })
      : openMysqlWithPassword(address, 10_000);
  console.log(JSON.stringify(await migrate(db, engine)));
  await close();
`;

export function schemaContract({ name, engine, create }: SqlEngine): void {
  const all = MIGRATIONS[engine];

  describe(`schema: ${name}`, () => {
    let opened: SqlDatabaseUnderTest;
    let db: Kysely<Schema>;

    beforeEach(async () => {
      opened = await create();
      db = opened.db;
    });
    afterEach(() => opened.close());

    async function assertUsable(): Promise<void> {
      await sqlDatabase(db).transaction(async ({ keys, users, securityLog, auditLog }) => {
        expect(await keys.snapshot()).toEqual({ revision: 0, recoveredAt: 0, keys: [] });
        const event = { type: 'user_disabled', sub: 'alice', reason: null, at: 1, expiresAt: 2 } as const;
        expect(await users.add({ sub: 'alice', name: null, at: 1 })).not.toBeNull();
        expect(await securityLog.append(event)).toBeGreaterThan(0);
        const entry = { at: 1, actor: 'a', action: 'b', target: 'c', outcome: 'd', reason: null };
        await auditLog.append(entry);
      });
    }

    async function forget(migrations: readonly string[]): Promise<void> {
      await sql`delete from jwtctl_migration where name in (${sql.join(migrations)})`.execute(db);
    }

    async function dropIndex(index: string): Promise<void> {
      const drop = db.schema.dropIndex(index);
      await (engine === 'mysql' ? drop.on('security_log') : drop).execute();
    }

    async function tables(): Promise<string[]> {
      return (await db.introspection.getTables()).map((table) => table.name).sort();
    }

    test('reading the status of an empty database creates no tables', async () => {
      expect(await schemaStatus(db, engine)).toEqual({ engine, applied: [], pending: all, unknown: [] });
      expect(await tables()).toEqual([]);
    });

    test('migrating applies and returns every migration', async () => {
      expect(await migrate(db, engine)).toEqual(all);
      expect(await schemaStatus(db, engine)).toEqual({ engine, applied: all, pending: [], unknown: [] });
      await assertUsable();
    });

    test('migrating again changes nothing', async () => {
      await migrate(db, engine);
      await assertUsable();
      expect(await migrate(db, engine)).toEqual([]);
      expect(await sqlDatabase(db).users.find('alice')).not.toBeNull();
    });

    test('8 concurrent migrations make one schema', async () => {
      const { address } = opened;
      const outputs = await runAtOnce(8, MIGRATE, JSON.stringify({ engine, address }));
      expect(outputs.flatMap((output) => JSON.parse(output) as string[]).sort()).toEqual(all);
      await assertUsable();
    });

    test('completes a run that ended before it recorded its migrations', async () => {
      await migrate(db, engine);
      for (const cutOff of all.keys()) {
        await forget(all.slice(cutOff));
        expect(await migrate(db, engine)).toEqual(all.slice(cutOff));
      }
      await assertUsable();
    });

    test('completes a run that ended between a table and its indexes', async () => {
      await migrate(db, engine);
      await db.deleteFrom('keystore_revision').execute();
      await db.deleteFrom('audit_head').execute();
      await dropIndex('security_log_kid');
      await forget(all);
      await migrate(db, engine);
      await assertUsable();
      // Fails if the index does not exist.
      await dropIndex('security_log_kid');
    });

    test('refuses and keeps a foreign table with one of the names', async () => {
      await db.schema
        .createTable('users')
        .addColumn('id', 'integer', (column) => column.primaryKey())
        .addColumn('login', 'varchar(50)')
        .execute();
      await sql`insert into users (id, login) values (1, 'alice')`.execute(db);
      await expect(migrate(db, engine)).rejects.toMatchObject({ kind: 'state', code: 'ERR_TABLE_EXISTS' });
      expect((await sql`select * from users`.execute(db)).rows).toEqual([{ id: 1, login: 'alice' }]);

      await db.schema.dropTable('users').execute();
      await migrate(db, engine);
      await assertUsable();
    });

    test('refuses and keeps the schema of a newer version', async () => {
      await migrate(db, engine);
      await sql`insert into jwtctl_migration (name, timestamp) values ('999_future', 'then')`.execute(db);
      const status = await schemaStatus(db, engine);
      expect(status).toEqual({ engine, applied: all, pending: [], unknown: ['999_future'] });
      expect(() => assertCurrent(status)).toThrow(expect.objectContaining({ code: 'ERR_SCHEMA_NEWER' }));
      await expect(migrate(db, engine)).rejects.toMatchObject({
        kind: 'state',
        code: 'ERR_SCHEMA_NEWER',
        details: { unknown: ['999_future'] },
      });
    });

    test('refuses a schema that lacks a migration in the middle', async () => {
      await migrate(db, engine);
      await forget(['003_users']);

      await expect(migrate(db, engine)).rejects.toMatchObject({ kind: 'state', code: 'ERR_SCHEMA_DAMAGED' });
    });

    test('reports an outdated schema with its pending migrations', async () => {
      const outdated = expect.objectContaining({ kind: 'state', code: 'ERR_SCHEMA_OUTDATED' });
      const empty = await schemaStatus(db, engine);
      expect(() => assertCurrent(empty)).toThrow(outdated);

      await migrate(db, engine);
      const current = await schemaStatus(db, engine);
      expect(() => assertCurrent(current)).not.toThrow();

      await forget(['006_audit_head']);
      const status = await schemaStatus(db, engine);
      expect(status.pending).toEqual(['006_audit_head']);
      expect(() => assertCurrent(status)).toThrow(outdated);
    });
  });
}
