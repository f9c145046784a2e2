import { toUserStatus } from '../../../domain/model/user.js';
import type { User, UserStore } from '../../../domain/ports/index.js';
import type { SqlExecutor, UsersTable } from '../schema.js';
import { isDuplicateKey } from './conflicts.js';
import { inPortions } from './portions.js';

const PAGE = 1_000;

export const sqlUserStore = (db: SqlExecutor): UserStore => ({
  async find(sub) {
    const row = await db.selectFrom('users').selectAll().where('sub', '=', sub).executeTakeFirst();
    return row === undefined ? null : toUser(row);
  },

  async findMany(subs) {
    const rows = await inPortions(subs, (portion) =>
      db.selectFrom('users').selectAll().where('sub', 'in', portion).execute(),
    );
    return new Map(rows.map((row) => [row.sub, toUser(row)]));
  },

  async *list() {
    // Pages along the primary key: bounded memory, and no open cursor for a slow reader.
    let after: string | null = null;
    for (;;) {
      let query = db.selectFrom('users').selectAll().orderBy('sub').limit(PAGE);
      if (after !== null) query = query.where('sub', '>', after);
      const rows = await query.execute();
      for (const row of rows) yield toUser(row);
      after = rows.at(-1)?.sub ?? null;
      if (rows.length < PAGE) return;
    }
  },

  async add(user) {
    return (await this.addMany([user], user.at)) ? this.find(user.sub) : null;
  },

  async addMany(users, at) {
    const rows = users.map(({ sub, name }) => newRow(sub, name, at));
    try {
      // One statement, so an existing row undoes the whole insert.
      await db.insertInto('users').values(rows).execute();
      return true;
    } catch (error) {
      if (isDuplicateKey(error)) return false;
      throw error;
    }
  },

  async setVersion(subs, version) {
    await db.updateTable('users').set({ version }).where('sub', 'in', subs).execute();
  },

  async setStatus(sub, status, at) {
    const result = await db
      .updateTable('users')
      .set((row) => ({ status, version: row('version', '+', 1), updated_at: at }))
      .where('sub', '=', sub)
      .where('status', '!=', status)
      .executeTakeFirst();
    const user = await this.find(sub);
    return user === null ? null : { user, changed: result.numUpdatedRows > 0n };
  },

  async setName(sub, name, at) {
    const before = await this.find(sub);
    if (before === null || before.name === name) return before && { user: before, changed: false };
    await db.updateTable('users').set({ name, updated_at: at }).where('sub', '=', sub).execute();
    const user = await this.find(sub);
    return user && { user, changed: true };
  },

  async remove(sub) {
    const user = await this.find(sub);
    if (user === null) return null;
    const result = await db
      .deleteFrom('users')
      .where('sub', '=', sub)
      .where('version', '=', user.version)
      .executeTakeFirst();
    // Another writer changed the row in between. Retry, to return the last version.
    return result.numDeletedRows > 0n ? user : this.remove(sub);
  },
});

function newRow(sub: string, name: string | null, at: number): UsersTable {
  return { sub, name, status: 'enabled', version: 1, created_at: at, updated_at: at };
}

function toUser(row: UsersTable): User {
  return {
    sub: row.sub,
    name: row.name,
    // Other programs may write this column. A value such as 'suspended' must not grant access.
    status: toUserStatus(row.status),
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
