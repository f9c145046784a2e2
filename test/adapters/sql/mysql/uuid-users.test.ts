import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OpenedMysql } from '../../../../src/adapters/sql/mysql/open-mysql.js';
import { sqlUserTable } from '../../../../src/adapters/sql/stores/user-table.js';
import { collect } from '../../../support/collect.js';
import { openMysqlWithPassword } from '../../../support/open-mysql.js';
import { freshMysqlDatabase } from '../../../support/servers.js';

const ALICE = '550e8400-e29b-41d4-a716-446655440000';
const BOB = '550e8400-e29b-41d4-a716-446655440001';
let database: Awaited<ReturnType<typeof freshMysqlDatabase>>;
let opened: OpenedMysql;
let users: ReturnType<typeof sqlUserTable>;

beforeAll(async () => {
  database = await freshMysqlDatabase();
  opened = openMysqlWithPassword(database.url, 5000);
  const { db } = opened;
  users = sqlUserTable(db, {
    ...{ table: 'accounts', column: 'id', idType: 'uuid-binary', enabledWhere: 'active = 1' },
  });
  await sql`create table accounts (id binary(16) primary key, active int not null)`.execute(db);
  await sql`insert into accounts select unhex(md5(seq)), 1 from
    (with recursive s as (select 1 as seq union all select seq + 1 from s where seq < 900) select seq from s) t`.execute(
    db,
  );
  for (const [id, active] of [
    [ALICE, 1],
    [BOB, 0],
  ] as const) {
    await sql`insert into accounts values (unhex(${id.replaceAll('-', '')}), ${active})`.execute(db);
  }
});
afterAll(async () => {
  await opened?.close();
  await database?.drop();
});

test('a UUID in BINARY(16) is found by its text', async () => {
  expect(await users.find(ALICE)).toMatchObject({ sub: ALICE, status: 'enabled' });
  expect(await users.find(BOB)).toMatchObject({ sub: BOB, status: 'disabled' });
  const found = await users.findMany([ALICE, BOB, 'alice', ALICE.replace('0', '1')]);
  expect([...found.keys()].sort()).toEqual([ALICE, BOB]);
  const all = await collect(users.list());
  expect(all).toHaveLength(902);
  expect(all.map(({ sub }) => sub)).toContain(ALICE);
  const [first] = await collect(users.list(undefined, ALICE.slice(0, 12)));
  expect(first).toMatchObject({ sub: ALICE });
});

test('the lookup uses the index of the column', async () => {
  const { db } = opened;
  await sql`flush status`.execute(db);
  await users.find(ALICE);
  const { rows } = await sql<{ Variable_name: string; Value: string }>`
    show session status like 'Handler_read%'`.execute(db);
  const reads = new Map(rows.map((row) => [row.Variable_name, Number(row.Value)]));
  expect([reads.get('Handler_read_key'), reads.get('Handler_read_rnd_next')]).toEqual([1, 0]);
  const plan = await sql<{ key: string; rows: number }>`
    explain select * from accounts where id = ${Buffer.from(ALICE.replaceAll('-', ''), 'hex')}`.execute(db);
  expect([plan.rows[0]?.key, Number(plan.rows[0]?.rows)]).toEqual(['PRIMARY', 1]);
});

test.each([ALICE.toUpperCase(), ALICE.replaceAll('-', ''), `{${ALICE}}`, `${ALICE} `, 'alice', ''])(
  '%j is not a user, and sends no query',
  async (sub) => {
    const away = openMysqlWithPassword('mysql://app@127.0.0.1:1/none', 1000);
    const table = sqlUserTable(away.db, { table: 'accounts', column: 'id', idType: 'uuid-binary' });
    expect(await table.find(sub)).toBeNull();
    expect([...(await table.findMany([sub]))]).toEqual([]);
    await away.close();
  },
);
