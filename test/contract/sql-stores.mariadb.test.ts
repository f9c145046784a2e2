import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sqlDatabase } from '../../src/adapters/sql/stores/database.js';
import { sqlUserTable } from '../../src/adapters/sql/stores/user-table.js';
import { addUsers } from '../../src/domain/users/import.js';
import { createMigrated, mariadb, type SqlDatabaseUnderTest } from '../support/sql-engines.js';
import { sqlContracts } from './sql-stores.contract.js';

sqlContracts(mariadb);

describe('MariaDB with many writers', () => {
  const AT = 1_700_000_000;
  let opened: SqlDatabaseUnderTest;

  beforeEach(async () => {
    opened = await createMigrated(mariadb);
  });
  afterEach(() => opened.close());

  test('retries a deadlock until both transactions commit', async () => {
    const database = sqlDatabase(opened.db);
    for (const sub of ['alice', 'bob']) await database.users.add({ sub, name: null, at: AT });
    const bothHaveOne = barrier(2);
    let attempts = 0;

    const disable = (first: string, second: string) =>
      database.transaction(async ({ users }) => {
        attempts += 1;
        await users.setStatus(first, 'disabled', AT);
        await bothHaveOne();
        await users.setStatus(second, 'disabled', AT);
      });
    await Promise.all([disable('alice', 'bob'), disable('bob', 'alice')]);

    expect(attempts).toBe(3);
    expect(await database.users.find('alice')).toMatchObject({ status: 'disabled', version: 2 });
    expect(await database.users.find('bob')).toMatchObject({ status: 'disabled', version: 2 });
  });

  test('adds each user once in concurrent imports of the same users', async () => {
    const subs = Array.from({ length: 400 }, (_, index) => `user-${index}`);
    const imports = Array.from({ length: 8 }, (_, index) => {
      // Each import starts at another user and uses its own client.
      const users = [...subs.slice(index * 40), ...subs.slice(0, index * 40)].map((sub) => ({
        sub,
        name: null,
      }));
      const database = sqlDatabase(opened.connect());
      return addUsers(
        { database, clock: { now: () => AT, until: async () => {}, pause: async () => {} } },
        users,
      );
    });
    const outcomes = (await Promise.all(imports)).flat();
    expect(outcomes.filter((outcome) => outcome === 'added')).toHaveLength(400);
    expect((await sqlDatabase(opened.db).users.findMany(subs)).size).toBe(400);
  });

  test('does not read uncommitted changes of another client', async () => {
    const database = sqlDatabase(opened.db);
    const other = sqlDatabase(opened.connect());
    await database.transaction(async ({ users }) => {
      await users.add({ sub: 'alice', name: null, at: AT });
      expect(await other.users.find('alice')).toBeNull();
    });
    expect(await other.users.find('alice')).not.toBeNull();
  });

  test.each(['ascii', 'latin1', 'utf8mb3'])(
    'finds no user for a subject that a %s column cannot hold, and finds the others',
    async (charset) => {
      await sql`create table accounts (login varchar(255) character set ${sql.raw(charset)})`.execute(
        opened.db,
      );
      await sql`insert into accounts values ('alice')`.execute(opened.db);
      const users = sqlUserTable(opened.db, { table: 'accounts', column: 'login' });
      for (const sub of ['😀', '中', 'é', 'alice 😀']) expect(await users.find(sub), sub).toBeNull();
      expect(await users.find('alice')).toMatchObject({ sub: 'alice' });
      for (const many of [
        ['alice', '😀'],
        ['中', 'alice', '😀', 'bob', 'é'],
        ['😀', '中'],
      ]) {
        const found = [...(await users.findMany(many)).keys()];
        expect(found, String(many)).toEqual(many.filter((sub) => sub === 'alice'));
      }
    },
  );

  test('reports a condition that mixes collations', async () => {
    await sql`create table accounts (login varchar(255) character set latin1)`.execute(opened.db);
    const users = sqlUserTable(opened.db, {
      ...{ table: 'accounts', column: 'login' },
      enabledWhere: "login = '中'",
    });
    const refused = { kind: 'usage', code: 'ERR_USER_TABLE_UNREADABLE' };
    await expect(users.find('alice')).rejects.toMatchObject(refused);
    await expect(users.findMany(['alice', 'bob', '😀'])).rejects.toMatchObject(refused);
  });

  test('refuses a value that is too long instead of truncating it', async () => {
    const { users } = sqlDatabase(opened.db);
    await expect(users.add({ sub: 'x'.repeat(256), name: null, at: AT })).rejects.toThrow();
    await expect(users.add({ sub: 'alice', name: 'x'.repeat(256), at: AT })).rejects.toThrow();
    expect(await users.find('alice')).toBeNull();
  });
});

/** Resolves once `count` callers have arrived. */
function barrier(count: number): () => Promise<void> {
  let open = () => {};
  const isOpen = new Promise<void>((resolve) => {
    open = resolve;
  });
  let waiting = 0;
  return () => {
    waiting += 1;
    if (waiting === count) open();
    return isOpen;
  };
}
