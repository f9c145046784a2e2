import { type ExpressionBuilder, sql } from 'kysely';
import { toUserStatus } from '../../../domain/model/user.js';
import type { User, UserStore } from '../../../domain/ports/index.js';
import { containsText } from '../../../domain/shared/search-text.js';
import type { Schema, SqlExecutor, UsersTable } from '../schema.js';
import { isDuplicateKey } from './conflicts.js';
import { mayContain } from './like-pattern.js';
import { inPortions } from './portions.js';

const PAGE = 1_000;

/** @param now decides whether a user that was disabled for some time is enabled again: see {@link DatabaseOptions} */
export const sqlUserStore = (db: SqlExecutor, now: () => number): UserStore => ({
  async find(sub) {
    const row = await db.selectFrom('users').selectAll().where('sub', '=', sub).executeTakeFirst();
    return row === undefined ? null : toUser(row, now());
  },

  async findMany(subs) {
    const rows = await inPortions(subs, (portion) =>
      db.selectFrom('users').selectAll().where('sub', 'in', portion).execute(),
    );
    const at = now();
    return new Map(rows.map((row) => [row.sub, toUser(row, at)]));
  },

  async *list(search, from = '') {
    const condition = search === undefined ? null : mayContain([sql.ref('sub'), sql.ref('name')], search);
    // Pages along the primary key: bounded memory, and no open cursor for a slow reader.
    let after: string | null = null;
    for (;;) {
      let query = db.selectFrom('users').selectAll().orderBy('sub').limit(PAGE);
      query = after === null ? query.where('sub', '>=', from) : query.where('sub', '>', after);
      if (condition !== null) query = query.where(condition);
      const rows = await query.execute();
      for (const row of rows) {
        const texts = [row.sub, row.name ?? ''];
        if (search === undefined || texts.some((text) => containsText(text, search)))
          yield toUser(row, now());
      }
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

  async setStatus(sub, status, at, disabledUntil = null) {
    const until = status === 'disabled' ? disabledUntil : null;
    const result = await db
      .updateTable('users')
      .set((row) => ({ status, disabled_until: until, version: row('version', '+', 1), updated_at: at }))
      .where('sub', '=', sub)
      // Also updates a user whose ban is over by this host's clock, because a host whose clock lags still refuses the user.
      .where((row) => (status === 'disabled' ? lastsShorter(until)(row) : row.eb('status', '!=', 'enabled')))
      .executeTakeFirst();
    const user = await this.find(sub);
    return user === null ? null : { user, changed: result.numUpdatedRows > 0n };
  },

  async restoreStatus(sub, { status, disabledUntil, version }, at) {
    const until = status === 'disabled' ? (disabledUntil ?? null) : null;
    await db
      .updateTable('users')
      .set({ status, disabled_until: until, version, updated_at: at })
      .where('sub', '=', sub)
      .execute();
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
  return { sub, name, status: 'enabled', disabled_until: null, version: 1, created_at: at, updated_at: at };
}

type Users = ExpressionBuilder<Schema, 'users'>;

function lastsShorter(until: number | null) {
  return ({ eb, and, or }: Users) =>
    until === null
      ? or([eb('status', '!=', 'disabled'), eb('disabled_until', 'is not', null)])
      : or([
          eb('status', '=', 'enabled'),
          and([eb('status', '=', 'disabled'), eb('disabled_until', '<', until)]),
        ]);
}

function toUser(row: UsersTable, now: number): User {
  const { disabled_until: until } = row;
  // Other programs may write the status. A value such as 'suspended' must not grant access, even by itself later.
  const isOver = row.status === 'disabled' && until !== null && until <= now;
  const status = isOver ? 'enabled' : toUserStatus(row.status);
  const isTemporary = row.status === 'disabled' && until !== null && !isOver;
  const { sub, name, version, created_at: createdAt, updated_at: updatedAt } = row;
  const user: User = { sub, name, status, version, createdAt, updatedAt };
  if (isTemporary) user.disabledUntil = until;
  return user;
}
