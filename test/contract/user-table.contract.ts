import { type Kysely, sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Schema } from '../../src/adapters/sql/schema.js';
import { sqlUserTable, type UserTableOptions } from '../../src/adapters/sql/stores/user-table.js';
import type { UserDirectory } from '../../src/domain/ports/index.js';
import { collect } from '../support/collect.js';
import type { SqlDatabaseUnderTest, SqlEngine } from '../support/sql-engines.js';

/** A common column type. Its collation treats `Alice` and, on MySQL, `alice ` as equal to `alice`. */
const LOOSE_TEXT = {
  mysql: 'varchar(255) character set utf8mb4 collate utf8mb4_general_ci',
  sqlite: 'text collate nocase',
};

export function userTableContract({ name, engine, create }: SqlEngine): void {
  describe(`user table: ${name}`, () => {
    let opened: SqlDatabaseUnderTest;
    let db: Kysely<Schema>;

    beforeEach(async () => {
      opened = await create();
      db = opened.db;
      await sql`create table accounts (
        login ${sql.raw(LOOSE_TEXT[engine])}, number bigint, is_active integer, banned_at bigint
      )`.execute(db);
    });
    afterEach(() => opened.close());

    function table(options: Partial<UserTableOptions> = {}): UserDirectory {
      return sqlUserTable(db, { table: 'accounts', column: 'login', ...options });
    }

    async function add(login: string | null, parts: { isActive?: number | null; bannedAt?: number } = {}) {
      const { isActive = 1, bannedAt = null } = parts;
      await sql`insert into accounts (login, is_active, banned_at) values (${login}, ${isActive}, ${bannedAt})`.execute(
        db,
      );
    }

    test('a row is a user without name, version, and times', async () => {
      await add('alice');
      expect(await table().find('alice')).toEqual({
        sub: 'alice',
        name: null,
        status: 'enabled',
        version: 0,
        createdAt: null,
        updatedAt: null,
      });
      expect(await table().find('bob')).toBeNull();
    });

    test('lists from a subject on', async () => {
      for (const login of ['bob', 'alice', 'Alfred', 'carol']) await add(login);
      const from = async (first: string) =>
        (await collect(table().list(undefined, first))).map(({ sub }) => sub);
      expect(await from('alg')).toEqual(['alice', 'bob', 'carol']);
      expect(await from('b')).toEqual(['bob', 'carol']);
      expect((await collect(table().list('CAR', 'b'))).map(({ sub }) => sub)).toEqual(['carol']);
    });

    test('compares subjects byte for byte, regardless of the collation', async () => {
      await add('alice');
      await add('émile');
      for (const other of [
        'Alice',
        'ALICE',
        'alice ',
        'alice\u00a0',
        'alicé',
        'emile',
        'e\u0301mile',
        'Émile',
      ]) {
        expect(await table().find(other), JSON.stringify(other)).toBeNull();
      }
      expect(await table().find('émile')).toMatchObject({ sub: 'émile' });
    });

    test('rows that the collation treats as equal are separate users', async () => {
      await add('alice', { isActive: 0 });
      await add('Alice');
      const users = table({ enabledWhere: 'is_active = 1' });
      expect(await users.find('alice')).toMatchObject({ sub: 'alice', status: 'disabled' });
      expect(await users.find('Alice')).toMatchObject({ sub: 'Alice', status: 'enabled' });
    });

    test('findMany finds the same users as find', async () => {
      for (const login of ['alice', 'Alice', 'bob', 'émile', '中😀', "' or 1=1 -- \\"]) await add(login);
      await add('alice', { isActive: 0 });
      const users = table({ enabledWhere: 'is_active = 1' });
      const asked = [
        'alice',
        'ALICE',
        'Alice',
        'alice ',
        'bob',
        'carol',
        'émile',
        'Émile',
        '中😀',
        "' or 1=1 -- \\",
      ];
      const expected = new Map();
      for (const sub of asked) {
        const user = await users.find(sub);
        if (user !== null) expected.set(sub, user);
      }
      expect([...expected.keys()]).toHaveLength(6);
      expect(await users.findMany([...asked, 'bob'])).toEqual(expected);
      expect(expected.get('alice')).toMatchObject({ status: 'disabled' });
      expect(await users.findMany([])).toEqual(new Map());
      expect(await users.findMany(['ALICE', 'Bob', 'bob '])).toEqual(new Map());
    });

    test.each([
      { name: 'that is true', parts: {}, status: 'enabled' },
      { name: 'that is false', parts: { isActive: 0 }, status: 'disabled' },
      { name: 'that is NULL', parts: { isActive: null }, status: 'disabled' },
      { name: 'with a false part', parts: { bannedAt: 5 }, status: 'disabled' },
    ])('a condition $name makes the user $status', async ({ parts, status }) => {
      await add('alice', parts);
      const users = table({ enabledWhere: 'is_active = 1 and banned_at is null' });
      expect(await users.find('alice')).toMatchObject({ status });
      expect(await collect(users.list())).toMatchObject([{ sub: 'alice', status }]);
    });

    test('a condition with OR does not match other rows', async () => {
      await add('alice', { isActive: 0 });
      await add('bob');
      const users = table({ enabledWhere: 'is_active = 1 or banned_at = 7' });
      expect(await users.find('alice')).toMatchObject({ status: 'disabled' });
      expect(await users.find('carol')).toBeNull();
    });

    test('one disabled row of several disables the subject', async () => {
      await add('alice');
      await add('alice', { isActive: 0 });
      expect(await table({ enabledWhere: 'is_active = 1' }).find('alice')).toMatchObject({
        status: 'disabled',
      });
      expect(await table().find('alice')).toMatchObject({ status: 'enabled' });
    });

    test('a subject with SQL syntax is only a subject', async () => {
      const hostile = "' or 1=1 -- \\";
      await add('alice');
      expect(await table().find(hostile)).toBeNull();
      await add(hostile);
      expect(await table().find(hostile)).toMatchObject({ sub: hostile });
    });

    test('a table can be named with its schema', async () => {
      await add('alice');
      const schema = engine === 'sqlite' ? 'main' : new URL(opened.address).pathname.slice(1);
      expect(await table({ table: `${schema}.accounts` }).find('alice')).not.toBeNull();
    });

    describe('wrong settings', () => {
      test.each<{ name: string; options: Partial<UserTableOptions> }>([
        { name: 'a missing table', options: { table: 'no_such_table' } },
        { name: 'a missing schema', options: { table: 'no_such_schema.accounts' } },
        { name: 'a missing column', options: { column: 'no_such_column' } },
        {
          name: 'a condition on a missing column',
          options: { enabledWhere: 'no_such_column = 1' },
        },
        { name: 'a condition with a syntax error', options: { enabledWhere: 'is_active =' } },
        { name: 'a condition with two closing parentheses', options: { enabledWhere: '1=1))' } },
        {
          name: 'a condition with a missing function',
          options: { enabledWhere: 'no_such_function(is_active)' },
        },
        { name: 'a function with too few arguments', options: { enabledWhere: 'round() = 1' } },
      ])('$name: the error lists the settings and contains no SQL', async ({ options }) => {
        await add('alice');
        for (const work of [
          () => table(options).find('alice'),
          () => table(options).findMany(['alice', 'é']),
          () => collect(table(options).list()),
        ]) {
          const error = await work().then(
            () => expect.unreachable('it passed'),
            (error) => error,
          );
          expect(error).toMatchObject({ kind: 'usage', code: 'ERR_USER_TABLE_UNREADABLE' });
          expect(error.message).toMatch(/\((ER_[A-Z0-9_]+|SQLITE_[A-Z]+|\d+)\)/);
          for (const name of ['users.table', 'users.column', 'users.enabledWhere'])
            expect(error.hint).toContain(name);
          expect([error.message, error.hint].join()).not.toMatch(/select|alice|is_active =|no_such_func/i);
        }
      });

      test('a closed database is a different error', async () => {
        const users = table({ enabledWhere: 'is_active =' });
        await opened.db.destroy();
        const error = await users.find('alice').catch((error) => error);
        expect(error.code).not.toBe('ERR_USER_TABLE_UNREADABLE');
      });
    });

    describe('a column of numbers', () => {
      const numbers = () => table({ column: 'number' });

      async function addNumber(number: string): Promise<void> {
        await sql`insert into accounts (number) values (${sql.raw(number)})`.execute(db);
      }

      test('is compared by its digits', async () => {
        await addNumber('7');
        expect(await numbers().find('7')).toMatchObject({ sub: '7' });
        for (const other of ['007', '7.0', '7e0', '+7', ' 7', '7 ', '7abc', '0x7']) {
          expect(await numbers().find(other), JSON.stringify(other)).toBeNull();
        }
        const many = await numbers().findMany(['007', '7.0', '7abc', '7', '0x7', ' 7', 'alice']);
        expect([...many.keys()]).toEqual(['7']);
      });

      test('is exact beyond the range of floating point', async () => {
        await addNumber('9007199254740993');
        expect(await numbers().find('9007199254740993')).toMatchObject({ sub: '9007199254740993' });
        expect(await numbers().find('9007199254740992')).toBeNull();
        const many = await numbers().findMany(['9007199254740992', '9007199254740993', 'x']);
        expect([...many.keys()]).toEqual(['9007199254740993']);
        expect(await collect(numbers().list())).toMatchObject([{ sub: '9007199254740993' }]);
      });
    });

    describe('list', () => {
      test('returns every user with their status', async () => {
        await add('bob', { isActive: 0 });
        await add('alice');
        await add('中😀');
        expect(await collect(table({ enabledWhere: 'is_active = 1' }).list())).toMatchObject([
          { sub: 'alice', status: 'enabled' },
          { sub: 'bob', status: 'disabled' },
          { sub: '中😀', status: 'enabled' },
        ]);
      });

      test.each([
        ['%', ['50%']],
        ['A_', ['a_b']],
        ['É', ['émile']],
        ['!', []],
      ])('searches for %s as text, and ignores the case', async (search, subs) => {
        for (const sub of ['50%', 'a_b', 'axb', 'émile']) await add(sub);
        expect((await collect(table().list(search))).map(({ sub }) => sub)).toEqual(subs);
      });

      test('omits rows without a subject', async () => {
        await add('alice');
        await add(null);
        expect((await collect(table().list())).map(({ sub }) => sub)).toEqual(['alice']);
      });

      test.each([1000, 2345])('returns each of %i users once, and findMany finds each', async (count) => {
        const logins = Array.from({ length: count }, (_, index) => `user-${String(index).padStart(6, '0')}`);
        for (let from = 0; from < count; from += 500) {
          const rows = logins.slice(from, from + 500).map((login) => sql`(${login})`);
          await sql`insert into accounts (login) values ${sql.join(rows)}`.execute(db);
        }
        expect((await collect(table().list())).map(({ sub }) => sub)).toEqual(logins);
        expect([...(await table().findMany(logins)).keys()].sort()).toEqual(logins);
      });
    });
  });
}
