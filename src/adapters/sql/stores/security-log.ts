import { type ExpressionBuilder, type Selectable, sql } from 'kysely';
import { familyOf } from '../../../domain/model/family.js';
import type { SecurityEvent, SecurityLog } from '../../../domain/ports/index.js';
import { groupBy } from '../../../domain/registry/group-entries.js';
import { isInterpretable } from '../../../domain/security-log/revocation-index.js';
import { DAY_SECONDS } from '../../../domain/shared/duration.js';
import { excerpt } from '../../../domain/shared/text.js';
import type { Schema, SecurityLogTable, SqlExecutor } from '../schema.js';
import { databaseTime } from './database-clock.js';
import { inPortions } from './portions.js';

/** Expired events are kept for a week, so that a wrong clock does not remove an event too early. */
const KEPT_SECONDS = 7 * DAY_SECONDS;

/** @param onInvalid called each time with a row that jwtctl cannot interpret */
export const sqlSecurityLog = (db: SqlExecutor, onInvalid: (text: string) => void): SecurityLog => ({
  async append(event) {
    const keptUntil = (time: number) => {
      const timeHere = sql<number>`${databaseTime(db)} + ${time - event.at}`;
      return sql<number>`case when ${timeHere} > ${time} then ${timeHere} else ${time} end`;
    };
    const result = await db
      .insertInto('security_log')
      .values({
        type: event.type,
        sub: event.sub ?? null,
        jti: event.jti ?? null,
        kid: event.kid ?? null,
        issued_before: event.issuedBefore ?? null,
        user_version: event.userVersion ?? null,
        except_jti: event.except ?? null,
        reason: event.reason,
        at: event.at,
        expires_at: keptUntil(event.expiresAt),
        verifiers_until: event.verifiersUntil === undefined ? null : keptUntil(event.verifiersUntil),
      })
      .executeTakeFirstOrThrow();
    return Number(result.insertId);
  },

  async clearExpired(limit) {
    // Two statements, because MySQL supports no LIMIT in a subquery, and SQLite none in DELETE.
    const expired = await db
      .selectFrom('security_log')
      .select('id')
      .where('expires_at', '<', sql<number>`${databaseTime(db)} - ${KEPT_SECONDS}`)
      .orderBy('expires_at')
      .limit(limit)
      .execute();
    if (expired.length === 0) return 0;
    const ids = expired.map(({ id }) => id);
    const { numDeletedRows } = await db
      .deleteFrom('security_log')
      .where('id', 'in', ids)
      .executeTakeFirstOrThrow();
    return Number(numDeletedRows);
  },

  async findConcerning(token) {
    const log = db.selectFrom('security_log').selectAll();
    const names = token.jti === null ? [] : namesOf(token.jti);
    // Indexed lookups. MySQL would scan the table for one OR over three columns.
    const rows = await log
      .where('sub', '=', token.sub)
      .where((eb) =>
        names.length === 0 ? lacks('jti')(eb) : eb.or([lacks('jti')(eb), eb('jti', 'in', names)]),
      )
      .$if(names.length > 0, (own) => own.unionAll(log.where(lacks('sub')).where('jti', 'in', names)))
      .unionAll(log.where('kid', '=', token.kid))
      .unionAll(log.where('type', '=', 'all_revoked'))
      .execute();
    return inOrder(rows, onInvalid);
  },

  async findNaming(tokens) {
    const log = db.selectFrom('security_log').selectAll();
    const subs = [...new Set(tokens.map(({ sub }) => sub))];
    const ofSubjects = await inPortions(subs, (portion) =>
      log.where('sub', 'in', portion).where(lacks('jti')).execute(),
    );
    const named = tokens.flatMap(({ sub, jti }) =>
      jti === null ? [] : namesOf(jti).map((name) => ({ sub, jti: name })),
    );
    // Grouped by subject. With two separate lists, an engine would look up each jti under each subject.
    const ofTokens = await inPortions(
      distinct(named),
      (portion) =>
        log
          .where(({ and, eb, or }) =>
            or(
              jtisBySubject(portion).map(([sub, jtis]) => and([eb('sub', '=', sub), eb('jti', 'in', jtis)])),
            ),
          )
          .execute(),
      TOKENS_AT_ONCE,
    );
    return inOrder([...ofSubjects, ...ofTokens], onInvalid);
  },

  async findGlobal() {
    const log = db.selectFrom('security_log').selectAll();
    const withKid = log.where('kid', 'is not', null).where('sub', '>', '');
    return inOrder(await log.where(lacks('sub')).unionAll(withKid).execute(), onInvalid);
  },

  async listAfter(afterId, limit) {
    const log = db.selectFrom('security_log').selectAll();
    return inOrder(await log.where('id', '>', afterId).orderBy('id').limit(limit).execute(), onInvalid);
  },

  async highestUserVersions(subs) {
    const rows = await inPortions(subs, (portion) =>
      db
        .selectFrom('security_log')
        .select((column) => ['sub', column.fn.max('user_version').as('version')])
        .where('sub', 'in', portion)
        .where('user_version', 'is not', null)
        .groupBy('sub')
        .execute(),
    );
    return new Map(rows.map(({ sub, version }) => [String(sub), Number(version)]));
  },
});

/** SQLite nests OR expressions, at most 1,000 deep. */
const TOKENS_AT_ONCE = 500;

/** The values of the column jti that cover a token: its own, and its family. */
function namesOf(jti: string): string[] {
  const family = familyOf(jti);
  return family === null ? [jti] : [jti, family];
}

function jtisBySubject(tokens: readonly TokenName[]): Array<[sub: string, jtis: string[]]> {
  return [...groupBy(tokens, ({ sub }) => sub)].map(([sub, own]) => [sub, own.map(({ jti }) => jti)]);
}

/** Removes duplicates, which two portions would both find. */
function distinct(tokens: readonly TokenName[]): TokenName[] {
  return jtisBySubject(tokens).flatMap(([sub, jtis]) => [...new Set(jtis)].map((jti) => ({ sub, jti })));
}

interface TokenName {
  sub: string;
  jti: string;
}

/** Another program may have left an empty name. */
function lacks(column: 'sub' | 'jti') {
  return (eb: ExpressionBuilder<Schema, 'security_log'>) =>
    eb.or([eb(column, 'is', null), eb(column, '=', '')]);
}

function inOrder(
  rows: ReadonlyArray<Selectable<SecurityLogTable>>,
  onInvalid: (text: string) => void,
): SecurityEvent[] {
  const events = rows.map(toEvent).sort((a, b) => a.id - b.id);
  for (const event of events) if (!isInterpretable(event)) onInvalid(invalidRow(event));
  return events;
}

function invalidRow({ id, type, sub, jti, kid }: SecurityEvent): string {
  const named =
    jti || sub || kid
      ? 'The tokens that the row names are refused.'
      : 'The row names no token and is ignored.';
  return `Row ${id} of the table security_log (type ${excerpt(type)}) holds values that this version of jwtctl cannot interpret. ${named} Correct the row, or update jwtctl.`;
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
    except: row.except_jti,
    reason: row.reason,
    at: row.at,
    expiresAt: row.expires_at,
    verifiersUntil: row.verifiers_until ?? row.expires_at,
  };
}
