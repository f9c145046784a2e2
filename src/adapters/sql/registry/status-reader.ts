import { toUserStatus } from '../../../domain/model/user.js';
import type {
  EntryName,
  MasterStatus,
  StatusQuery,
  StatusReader,
  StoredStatus,
} from '../../../domain/ports/index.js';
import { MasterState } from '../../../domain/registry/master-state.js';
import type { SqlExecutor } from '../schema.js';
import { isNamed } from './registry-rows.js';

/** Reads token statuses with one query each. A file sends no invalidations and loses nothing. */
export class SqliteStatusReader implements StatusReader {
  readonly #db: SqlExecutor;
  readonly #now: () => number;
  readonly #state: MasterState;

  constructor(db: SqlExecutor, { file, now }: { file: string; now(): number }) {
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
      const user = select.selectFrom('registry_users').where('sub', '=', sub);
      return [
        select.selectFrom('registry_entries').select('exp').where(isNamed(sub, entry)).as('exp'),
        user.select('status').as('status'),
        user.select('version').as('version'),
        user.select('known_until').as('until'),
      ];
    })
    .executeTakeFirst();
  const { exp = null, status = null, version = null, until = null } = row ?? {};
  const user =
    status === null ? null : { status: toUserStatus(status), version: version ?? 0, until: until ?? 0 };
  return { exp, user, lease: null, epoch: 0 };
}
