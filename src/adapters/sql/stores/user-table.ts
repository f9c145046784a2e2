import { type RawBuilder, sql } from 'kysely';
import type { User, UserDirectory } from '../../../domain/ports/index.js';
import { groupBy } from '../../../domain/registry/group-entries.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { SqlExecutor } from '../schema.js';
import { inPortions } from './portions.js';

export interface UserTableOptions {
  /** `table` or `schema.table` */
  table: string;
  column: string;
  /** An SQL condition for enabled users. Default: every row is an enabled user */
  enabledWhere?: string | null | undefined;
}

const PAGE = 1_000;
/** MySQL's and MariaDB's errors for text that a column's character set cannot represent. */
const UNREPRESENTABLE = new Set([
  'ER_CANT_AGGREGATE_2COLLATIONS',
  'ER_CANT_AGGREGATE_3COLLATIONS',
  'ER_CANT_AGGREGATE_NCOLLATIONS',
  'ER_INVALID_CHARACTER_STRING',
  'ER_TRUNCATED_WRONG_VALUE_FOR_FIELD',
  'ER_CANNOT_CONVERT_STRING',
  'ER_IMPOSSIBLE_STRING_CONVERSION',
]);

/** The users of `users.source: table`: an existing table of another program. Only read, never written. */
export function sqlUserTable(
  db: SqlExecutor,
  { table, column: name, enabledWhere }: UserTableOptions,
): UserDirectory {
  const column = sql.ref(name);
  const enabled = enabledWhere == null ? sql`1` : sql`case when (${sql.raw(enabledWhere)}) then 1 else 0 end`;
  // Cast to text, because a driver rounds numbers above 2^53 and could confuse two subjects.
  const select = sql`select cast(${column} as char) as sub, ${enabled} as enabled from ${sql.table(table)}`;

  async function rowsBy(clauses: RawBuilder<unknown>): Promise<Row[]> {
    try {
      return (await sql<Row>`${select} ${clauses}`.execute(db)).rows;
    } catch (error) {
      throw isMistakeInStatement(error, table) ? unusableTable(table, error) : error;
    }
  }

  async function rowsOfOne(sub: string): Promise<Row[]> {
    return rowsBy(sql`where ${column} = ${sub}`).catch((error) => {
      if (isUnrepresentable(sub, error)) return [];
      throw error;
    });
  }

  /** One subject that the column's character set cannot represent makes the whole query fail. */
  async function rowsOf(subs: readonly string[]): Promise<Row[]> {
    const among = (some: readonly string[]) => rowsBy(sql`where ${column} in (${sql.join(some)})`);
    try {
      return await among(subs);
    } catch (error) {
      if (!subs.some((sub) => isUnrepresentable(sub, error))) throw error;
    }
    const inAscii = subs.filter(isAscii);
    const rows = inAscii.length === 0 ? [] : await among(inAscii);
    for (const sub of subs) if (!isAscii(sub)) rows.push(...(await rowsOfOne(sub)));
    return rows;
  }

  return {
    async find(sub) {
      // The column's collation may match `Alice` or `alice ` for `alice`. Subjects compare byte for byte.
      const exact = (await rowsOfOne(sub)).filter((row) => row.sub === sub);
      return exact.length === 0 ? null : toUser(sub, exact);
    },

    async findMany(subs) {
      const wanted = new Set(subs);
      const rows = (await inPortions([...wanted], rowsOf)).filter(({ sub }) => wanted.has(sub));
      const users = [...groupBy(rows, ({ sub }) => sub)];
      return new Map(users.map(([sub, own]) => [sub, toUser(sub, own)]));
    },

    async *list() {
      for (let offset = 0; ; offset += PAGE) {
        const page = sql`limit ${sql.lit(PAGE)} offset ${sql.lit(offset)}`;
        const rows = await rowsBy(sql`where ${column} is not null order by ${column} ${page}`);
        for (const row of rows) yield toUser(row.sub, [row]);
        if (rows.length < PAGE) return;
      }
    },
  };
}

interface Row {
  sub: string;
  enabled: number;
}

/** If a subject has several rows, one disabled row disables it. */
function toUser(sub: string, rows: readonly Row[]): User {
  const isEnabled = rows.every((row) => Number(row.enabled) === 1);
  return {
    sub,
    name: null,
    status: isEnabled ? 'enabled' : 'disabled',
    version: 0,
    createdAt: null,
    updatedAt: null,
  };
}

/** Translated errors count only if something that the settings name is missing. */
function isMistakeInStatement(error: unknown, table: string): error is Error {
  if (error instanceof JwtctlError) {
    const namesSchema = table.includes('.');
    return error.code === 'ERR_SCHEMA_MISMATCH' || (namesSchema && error.code === 'ERR_DATABASE_UNKNOWN');
  }
  return error instanceof Error && /^(ER_|SQLITE_|\d)/.test(driverCodeOf(error));
}

/** Then no user of that name can be in the table. Every character set contains ASCII. */
function isUnrepresentable(sub: string, error: unknown): boolean {
  return (
    !isAscii(sub) && error instanceof JwtctlError && UNREPRESENTABLE.has(String(error.details.driverCode))
  );
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

function unusableTable(table: string, cause: Error): JwtctlError {
  const driverCode = driverCodeOf(cause instanceof JwtctlError ? cause.cause : cause);
  const message = `The user table ${table} cannot be read (${driverCode}).`;
  return new JwtctlError('ERR_USER_TABLE_UNREADABLE', message, {
    hint: 'Check `users.table`, `users.column`, and `users.enabledWhere`. The database refuses the SQL made from them.',
    details: { driverCode },
    cause,
  });
}

function driverCodeOf(error: unknown): string {
  const { code, errno } = error as { code?: string; errno?: number };
  return code ?? String(errno ?? '');
}
