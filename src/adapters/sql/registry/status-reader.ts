import type { Kysely } from 'kysely';
import { toUserStatus } from '../../../domain/model/user.js';
import type {
  EntryName,
  MasterStatus,
  StatusQuery,
  StatusReader,
  StoredStatus,
} from '../../../domain/ports/index.js';
import { MasterState } from '../../../domain/registry/master-state.js';
import type { Schema, SqlExecutor } from '../schema.js';
import { retryConflicts } from '../stores/conflicts.js';
import { isNamed, touch } from './registry-rows.js';

/** Reads token statuses with one query each. A file sends no invalidations and loses nothing. */
export class SqliteStatusReader implements StatusReader {
  readonly #db: Kysely<Schema>;
  readonly #now: () => number;
  readonly #state: MasterState;

  constructor(db: Kysely<Schema>, { file, now }: { file: string; now(): number }) {
    this.#db = db;
    this.#now = now;
    this.#state = new MasterState(file, now());
  }

  async open(): Promise<number> {
    return 0;
  }

  of(sub: string, entry: EntryName): StatusQuery {
    return {
      read: async () => {
        try {
          const status = await readStatus(this.#db, sub, entry);
          this.#state.answered(this.#now());
          return status;
        } catch (error) {
          this.#state.failed(error, this.#now());
          throw error;
        }
      },
    };
  }

  touch(sub: string, entry: EntryName, now: number, replaces?: number): Promise<void> {
    return retryConflicts(() => this.#db.transaction().execute((db) => touch(db, sub, entry, now, replaces)));
  }

  probe(): void {
    const { answeredAt, isUp } = this.#state;
    if (isUp && answeredAt !== null && Math.abs(this.#now() - answeredAt) < 1) return;
    this.of('probe', { jti: '', keyId: 0, iat: 0 })
      .read()
      .catch(() => {});
  }

  masters(): MasterStatus[] {
    return [this.#state.status()];
  }

  close(): void {}
}

export async function readStatus(db: SqlExecutor, sub: string, entry: EntryName): Promise<StoredStatus> {
  const row = await db
    .selectNoFrom((select) => {
      const entryRow = select.selectFrom('registry_entries').where(isNamed(sub, entry));
      const user = select.selectFrom('registry_users').where('sub', '=', sub);
      return [
        entryRow.select('exp').as('exp'),
        entryRow.select('last_seen').as('lastSeen'),
        user.select('status').as('status'),
        user.select('version').as('version'),
        user.select('known_until').as('until'),
      ];
    })
    .executeTakeFirst();
  const { exp = null, lastSeen, status = null, version = null, until = null } = row ?? {};
  const user =
    status === null ? null : { status: toUserStatus(status), version: version ?? 0, until: until ?? 0 };
  return { exp, user, lastSeen: lastSeen ?? undefined, lease: null, epoch: 0 };
}
