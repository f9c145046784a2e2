import { statSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { openSqlite } from '../../../../src/adapters/sql/sqlite/open-sqlite.js';
import { temporaryFolder } from '../../../support/cli.js';
import { runAtOnce } from '../../../support/processes.js';

/** Opens the file, writes to it, and closes it, like a command. */
const VISIT = `
  import { sql } from 'kysely';
  import { openSqlite } from './src/adapters/sql/sqlite/open-sqlite.js';
  const { db, close } = openSqlite({ file: process.argv[2] ?? '', timeoutMs: 5_000 });
  await sql\`insert into visits values (1)\`.execute(db);
  await close();
`;

test('closing a second connection of a process keeps the locks of the first one', async () => {
  const file = join(temporaryFolder(), 'jwtctl.db');
  const first = openSqlite({ file, timeoutMs: 5_000 });
  await sql`create table visits (n integer)`.execute(first.db);
  const second = openSqlite({ file, timeoutMs: 5_000 });
  await sql`insert into visits values (1)`.execute(second.db);
  const log = statSync(`${file}-wal`).ino;

  await runAtOnce(1, VISIT, file);
  // A connection that believes to be the last one removes the log.
  expect(statSync(`${file}-wal`).ino).toBe(log);
  await sql`insert into visits values (1)`.execute(first.db);
  const { rows } = await sql<{ n: number }>`select count(*) as n from visits`.execute(second.db);
  expect(rows).toEqual([{ n: 3 }]);
  await Promise.all([first.close(), second.close()]);
});

test('a connection that could not begin a transaction reads current rows, and begins the next one', async () => {
  const file = join(temporaryFolder(), 'jwtctl.db');
  const [one, other] = [openSqlite({ file, timeoutMs: 100 }), openSqlite({ file, timeoutMs: 100 })];
  await sql`create table visits (n integer)`.execute(one.db);
  const add = sql`insert into visits values (1)`;
  const count = async () =>
    (await sql<{ n: number }>`select count(*) as n from visits`.execute(other.db)).rows[0]?.n;
  for (let round = 1; round <= 2; round++) {
    await one.db.transaction().execute(async (transaction) => {
      await add.execute(transaction);
      const refused = other.db.transaction().execute(async () => {});
      await expect(refused).rejects.toMatchObject({ code: 'ERR_DATABASE_CONFLICT' });
      expect(await count()).toBe(round - 1);
    });
    expect(await count()).toBe(round);
  }
  await other.db.transaction().execute((transaction) => add.execute(transaction));
  expect(await count()).toBe(3);
  await Promise.all([one.close(), other.close()]);
});
