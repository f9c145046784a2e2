import type { Selectable } from 'kysely';
import type { NewSecurityEvent, SecurityEvent, SecurityLog } from '../../domain/ports.js';
import type { SecurityLogTable, SqlExecutor } from './schema.js';

export class SqlSecurityLog implements SecurityLog {
  readonly #db: SqlExecutor;

  constructor(db: SqlExecutor) {
    this.#db = db;
  }

  async append(event: NewSecurityEvent): Promise<number> {
    await this.#db.deleteFrom('security_log').where('expires_at', '<', event.at).execute();
    const result = await this.#db
      .insertInto('security_log')
      .values({
        type: event.type,
        sub: event.sub ?? null,
        jti: event.jti ?? null,
        kid: event.kid ?? null,
        issued_before: event.issuedBefore ?? null,
        user_version: event.userVersion ?? null,
        reason: event.reason,
        at: event.at,
        expires_at: event.expiresAt,
      })
      .executeTakeFirstOrThrow();
    return Number(result.insertId);
  }

  async findConcerning(token: { sub: string; kid: string }): Promise<SecurityEvent[]> {
    // Three indexed look-ups; MySQL would answer one OR over three columns with a scan.
    const rows = await this.#db
      .selectFrom('security_log')
      .selectAll()
      .where('sub', '=', token.sub)
      .unionAll(this.#db.selectFrom('security_log').selectAll().where('kid', '=', token.kid))
      .unionAll(this.#db.selectFrom('security_log').selectAll().where('type', '=', 'all_revoked'))
      .execute();
    return rows.map(toEvent).sort((a, b) => a.id - b.id);
  }

  async highestUserVersion(sub: string): Promise<number> {
    const row = await this.#db
      .selectFrom('security_log')
      .select((column) => column.fn.max('user_version').as('version'))
      .where('sub', '=', sub)
      .executeTakeFirst();
    return Number(row?.version ?? 0);
  }
}

function toEvent(row: Selectable<SecurityLogTable>): SecurityEvent {
  return {
    id: row.id,
    type: row.type,
    sub: row.sub,
    jti: row.jti,
    kid: row.kid,
    issuedBefore: row.issued_before,
    userVersion: row.user_version,
    reason: row.reason,
    at: row.at,
    expiresAt: row.expires_at,
  };
}
