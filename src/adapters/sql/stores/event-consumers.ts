import { sql } from 'kysely';
import type { EventConsumers } from '../../../domain/ports/event-consumers.js';
import type { SqlExecutor } from '../schema.js';
import { isDuplicateKey } from './conflicts.js';
import { databaseTime } from './database-clock.js';

export const sqlEventConsumers = (db: SqlExecutor): EventConsumers => ({
  async claim(name, { holder, seconds }, position) {
    const now = databaseTime(db);
    const leased = { holder, leased_until: sql<number>`${now} + ${seconds}` };
    await db
      .updateTable('event_consumers')
      .set(leased)
      .where('name', '=', name)
      .where((row) => row.or([row('holder', '=', holder), row('leased_until', '<=', now)]))
      .execute();
    const found = await rowOf(db, name);
    if (found !== undefined) return found.holder === holder ? found.position : null;
    try {
      await db
        .insertInto('event_consumers')
        .values({ name, position, ...leased })
        .execute();
      return position;
    } catch (error) {
      // Another process has just added it.
      if (isDuplicateKey(error)) return null;
      throw error;
    }
  },

  async advance(name, holder, position) {
    const own = db.updateTable('event_consumers').set({ position }).where('name', '=', name);
    await own.where('holder', '=', holder).execute();
    return (await rowOf(db, name))?.holder === holder;
  },

  async release(name, holder) {
    const own = db.updateTable('event_consumers').set({ holder: '', leased_until: 0 });
    await own.where('name', '=', name).where('holder', '=', holder).execute();
  },

  async find(name) {
    const row = await rowOf(db, name);
    return row === undefined ? null : { position: row.position, isLeased: Number(row.seconds_left) > 0 };
  },
});

function rowOf(db: SqlExecutor, name: string) {
  return db
    .selectFrom('event_consumers')
    .select(['position', 'holder', sql<number>`leased_until - ${databaseTime(db)}`.as('seconds_left')])
    .where('name', '=', name)
    .executeTakeFirst();
}
