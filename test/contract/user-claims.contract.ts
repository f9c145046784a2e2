import { type Kysely, sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Schema } from '../../src/adapters/sql/schema.js';
import { sqlUserTable } from '../../src/adapters/sql/stores/user-table.js';
import type { SqlDatabaseUnderTest, SqlEngine } from '../support/sql-engines.js';

export function userClaimsContract({ name, engine, create }: SqlEngine): void {
  describe(`claims of a user table: ${name}`, () => {
    let opened: SqlDatabaseUnderTest;
    let db: Kysely<Schema>;

    beforeEach(async () => {
      opened = await create();
      db = opened.db;
      await sql`create table accounts (login varchar(255), role varchar(50), id bigint, price decimal(20, 2),
        ${sql.ref('select$')} ${sql.raw(engine === 'mysql' ? 'double' : 'real')}, prefs json,
        ${sql.ref('Since')} ${sql.raw(engine === 'mysql' ? 'datetime' : 'text')}, token blob)`.execute(db);
    });
    afterEach(() => opened.close());

    const table = (claims: Record<string, string>) =>
      sqlUserTable(db, { table: 'accounts', column: 'login', claims });
    const claimsOf = async (claims: Record<string, string>, sub = 'alice') => {
      const user = await table(claims).find(sub);
      expect((await table(claims).findMany([sub])).get(sub)).toEqual(user);
      return user?.claims;
    };
    const add = async (column: string, value: unknown, login = 'alice') => {
      await sql`insert into accounts (login, ${sql.ref(column)}) values (${login}, ${value})`.execute(db);
    };

    test('text, dates, and JSON keep their form', async () => {
      await sql`insert into accounts (login, role, ${sql.ref('Since')}, prefs)
        values ('alice', '007 é', '2026-11-30 01:02:03', '{"a":[1,null,"x"]}')`.execute(db);
      const claims = { role: 'role', 'https://example.com/since': 'since', prefs: 'prefs' };
      expect(await claimsOf(claims)).toEqual({
        role: '007 é',
        'https://example.com/since': '2026-11-30 01:02:03',
        prefs: { a: [1, null, 'x'] },
      });
    });

    test('numbers are numbers', async () => {
      await sql`insert into accounts (login, id, price, ${sql.ref('select$')})
        values ('alice', -9007199254740991, 12.5, 0.25)`.execute(db);
      expect(await claimsOf({ id: 'id', price: 'price', half: 'select$' })).toEqual({
        ...{ id: -9007199254740991, price: 12.5, half: 0.25 },
      });
    });

    test('NULL leaves the claim out', async () => {
      await add('role', null);
      expect(await claimsOf({ role: 'role', id: 'id', prefs: 'prefs' })).toEqual({});
    });

    test.each([
      [
        'a number that JSON does not hold exactly',
        'id',
        '9007199254740993',
        /\bid of accounts .*9007199254740993/,
      ],
      ['such a number in JSON', 'prefs', '{"id":9007199254740993}', /prefs of accounts .*9007199254740993/],
    ])('%s is refused, with its digits', async (_what, column, value, message) => {
      await add(column, value);
      await add('role', 'admin', 'bob');
      const users = await table({ x: column }).findMany(['alice', 'bob']);
      expect(users.get('alice')?.claims).toMatchObject({
        ...{ code: 'ERR_USER_CLAIM_INVALID', kind: 'state', message: expect.stringMatching(message) },
      });
      expect(users.get('bob')).toMatchObject({ status: 'enabled', claims: {} });
    });

    test('bytes are refused', async () => {
      await add('token', Buffer.from([1, 255]));
      const users = table({ token: 'token' });
      if (engine === 'sqlite') {
        expect((await users.find('alice'))?.claims).toMatchObject({ code: 'ERR_USER_CLAIM_INVALID' });
        return;
      }
      for (const work of [() => users.find('alice'), () => users.findMany(['alice']), () => users.check?.()])
        expect(await work()?.catch((error) => error)).toMatchObject({
          code: 'ERR_CONFIG_VALUE_INVALID',
          message: expect.stringMatching(/^The column token of accounts .* is BLOB; expected text/),
        });
    });

    test('a missing column is named as a fault of the settings', async () => {
      await add('role', 'admin');
      for (const column of ['missing', 'role`, 1 as `x', 'role", 1 as "x']) {
        await expect(table({ x: column }).check?.()).rejects.toMatchObject({
          ...{ code: 'ERR_USER_TABLE_UNREADABLE', hint: expect.stringContaining('users.claims') },
        });
      }
    });

    test('rows of one subject must have the same claims', async () => {
      await add('role', 'admin');
      await add('role', 'admin');
      await add('role', 'guest', 'bob');
      expect(await claimsOf({ role: 'role' })).toEqual({ role: 'admin' });
      await add('role', 'guest');
      expect(await claimsOf({ role: 'role' })).toMatchObject({ code: 'ERR_USER_CLAIM_INVALID' });
      expect((await table({ role: 'role' }).find('bob'))?.claims).toEqual({ role: 'guest' });
    });
  });
}
