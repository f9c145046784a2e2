import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrate, schemaStatus } from '../../../../src/adapters/sql/migrations/migrator.js';
import { createMigrated, mariadb, type SqlDatabaseUnderTest } from '../../../support/sql-engines.js';

let opened: SqlDatabaseUnderTest;
beforeEach(async () => {
  opened = await createMigrated(mariadb);
});
afterEach(() => opened.close());

/** The server's replies to the later of two runs, after the first one lost the session with the lock. */
test.each([
  [1050, '42S01'],
  [1060, '42S21'],
  [1061, '42000'],
  [1062, '23000'],
  [1091, '42000'],
])(
  'a change that another migration has just made (%i) is reported as such, not as a bug',
  async (errno, state) => {
    const { db } = opened;
    await sql`delete from jwtctl_migration order by name desc limit 1`.execute(db);
    await sql`
    create trigger taken before insert on jwtctl_migration for each row
    signal sqlstate ${sql.lit(state)} set mysql_errno = ${sql.lit(errno)}`.execute(db);
    await expect(migrate(opened.connect(), 'mysql')).rejects.toMatchObject({
      ...{ kind: 'unavailable', code: 'ERR_MIGRATION_RUNNING' },
      hint: expect.stringContaining('jwtctl db migrate'),
    });

    await sql`drop trigger taken`.execute(db);
    await migrate(opened.connect(), 'mysql');
    expect(await schemaStatus(db, 'mysql')).toMatchObject({ pending: [], unknown: [] });
  },
);
