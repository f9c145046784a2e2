import type { User, UserStatus, UserStore } from '../../domain/ports.js';
import { isDuplicateKey } from './conflicts.js';
import type { SqlExecutor, UsersTable } from './schema.js';

const PAGE = 1_000;

/** `users.source: managed`. */
export class SqlUserStore implements UserStore {
  readonly #db: SqlExecutor;

  constructor(db: SqlExecutor) {
    this.#db = db;
  }

  async find(sub: string): Promise<User | null> {
    const row = await this.#db.selectFrom('users').selectAll().where('sub', '=', sub).executeTakeFirst();
    return row === undefined ? null : toUser(row);
  }

  async *list(): AsyncIterable<User> {
    // Page by page along the primary key: bounded memory, and no cursor that a slow reader holds open.
    let after: string | null = null;
    for (;;) {
      let query = this.#db.selectFrom('users').selectAll().orderBy('sub').limit(PAGE);
      if (after !== null) query = query.where('sub', '>', after);
      const rows = await query.execute();
      for (const row of rows) yield toUser(row);
      after = rows.at(-1)?.sub ?? null;
      if (rows.length < PAGE) return;
    }
  }

  async add(user: { sub: string; name: string | null; at: number }): Promise<User | null> {
    try {
      await this.#db
        .insertInto('users')
        .values({
          sub: user.sub,
          name: user.name,
          status: 'enabled',
          version: 1,
          created_at: user.at,
          updated_at: user.at,
        })
        .execute();
    } catch (error) {
      if (isDuplicateKey(error)) return null;
      throw error;
    }
    return this.find(user.sub);
  }

  async setVersion(sub: string, version: number): Promise<void> {
    await this.#db.updateTable('users').set({ version }).where('sub', '=', sub).execute();
  }

  async setStatus(
    sub: string,
    status: UserStatus,
    at: number,
  ): Promise<{ user: User; changed: boolean } | null> {
    const result = await this.#db
      .updateTable('users')
      .set((row) => ({ status, version: row('version', '+', 1), updated_at: at }))
      .where('sub', '=', sub)
      .where('status', '!=', status)
      .executeTakeFirst();
    const user = await this.find(sub);
    return user === null ? null : { user, changed: result.numUpdatedRows > 0n };
  }

  async remove(sub: string): Promise<User | null> {
    const user = await this.find(sub);
    if (user === null) return null;
    const result = await this.#db
      .deleteFrom('users')
      .where('sub', '=', sub)
      .where('version', '=', user.version)
      .executeTakeFirst();
    // Somebody changed it between the two statements: look again, so that the version that is returned is the last one.
    return result.numDeletedRows > 0n ? user : this.remove(sub);
  }
}

function toUser(row: UsersTable): User {
  return {
    sub: row.sub,
    name: row.name,
    status: row.status,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
