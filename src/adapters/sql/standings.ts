import type { EntryName, NotedStanding, StandingQuery, Standings } from '../../domain/ports.js';
import { toUserStatus } from '../../domain/user.js';
import type { SqlExecutor } from './schema.js';

/** The standings of the embedded registry: one query for each. A file tells nobody of its changes, and forgets nothing. */
export class SqliteStandings implements Standings {
  readonly #db: SqlExecutor;

  constructor(db: SqlExecutor) {
    this.#db = db;
  }

  async open(): Promise<number> {
    return 0;
  }

  of(sub: string, entry: EntryName): StandingQuery {
    return { read: () => readStanding(this.#db, sub, entry) };
  }

  close(): void {}
}

/** What is noted of one token and its user, live or not. */
export async function readStanding(
  db: SqlExecutor,
  sub: string,
  { jti, keyId, iat }: EntryName,
): Promise<NotedStanding> {
  const row = await db
    .selectNoFrom((select) => {
      const user = select.selectFrom('registry_users').where('sub', '=', sub);
      return [
        select
          .selectFrom('registry_entries')
          .select('exp')
          .where((column) => column.and({ sub, jti, key_id: keyId, iat }))
          .as('exp'),
        user.select('status').as('status'),
        user.select('version').as('version'),
        user.select('known_until').as('until'),
      ];
    })
    .executeTakeFirst();
  const { exp = null, status = null, version = null, until = null } = row ?? {};
  const user =
    status === null ? null : { status: toUserStatus(status), version: version ?? 0, until: until ?? 0 };
  return { exp, user, hold: null, epoch: 0 };
}
