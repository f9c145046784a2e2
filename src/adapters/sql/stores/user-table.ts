import { type RawBuilder, sql } from 'kysely';
import type { User, UserDirectory } from '../../../domain/ports/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { SqlExecutor } from '../schema.js';
import { inPortions } from './portions.js';

export interface UserTableOptions {
  /** `table` or `schema.table` */
  table: string;
  column: string;
  /** An SQL condition for enabled users. Default: every row is an enabled user */
  enabledWhere?: string;
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
export class SqlUserTable implements UserDirectory {
  readonly #db: SqlExecutor;
  readonly #options: UserTableOptions;

  constructor(db: SqlExecutor, options: UserTableOptions) {
    this.#db = db;
    this.#options = options;
  }

  async find(sub: string): Promise<User | null> {
    const rows = await this.#rowsOfOne(sub);
    // The column's collation may match `Alice` or `alice ` for `alice`. Subjects compare byte for byte.
    const exact = rows.filter((row) => row.sub === sub);
    return exact.length === 0 ? null : toUser(sub, exact);
  }

  async findMany(subs: readonly string[]): Promise<Map<string, User>> {
    const wanted = new Set(subs);
    const rowsOf = new Map<string, Row[]>();
    for (const row of await inPortions([...wanted], (portion) => this.#rowsOf(portion))) {
      if (!wanted.has(row.sub)) continue;
      const rows = rowsOf.get(row.sub);
      if (rows === undefined) rowsOf.set(row.sub, [row]);
      else rows.push(row);
    }
    return new Map([...rowsOf].map(([sub, rows]) => [sub, toUser(sub, rows)]));
  }

  /** One subject that the column's character set cannot represent makes the whole query fail. */
  async #rowsOf(subs: readonly string[]): Promise<Row[]> {
    const among = (some: readonly string[]) =>
      this.#rows(sql`where ${this.#column()} in (${sql.join(some)})`);
    try {
      return await among(subs);
    } catch (error) {
      if (!subs.some((sub) => isUnrepresentable(sub, error))) throw error;
    }
    const inAscii = subs.filter(isAscii);
    const rows = inAscii.length === 0 ? [] : await among(inAscii);
    for (const sub of subs) if (!isAscii(sub)) rows.push(...(await this.#rowsOfOne(sub)));
    return rows;
  }

  async #rowsOfOne(sub: string): Promise<Row[]> {
    return this.#rows(sql`where ${this.#column()} = ${sub}`).catch((error) => {
      if (isUnrepresentable(sub, error)) return [];
      throw error;
    });
  }

  async *list(): AsyncIterable<User> {
    for (let offset = 0; ; offset += PAGE) {
      const rows = await this.#rows(
        sql`where ${this.#column()} is not null order by ${this.#column()} limit ${sql.lit(PAGE)} offset ${sql.lit(offset)}`,
      );
      for (const row of rows) yield toUser(row.sub, [row]);
      if (rows.length < PAGE) return;
    }
  }

  async #rows(clauses: RawBuilder<unknown>): Promise<Row[]> {
    try {
      return (await sql<Row>`${this.#select()} ${clauses}`.execute(this.#db)).rows;
    } catch (error) {
      const { table } = this.#options;
      throw isMistakeInStatement(error, table) ? unusableTable(table, error) : error;
    }
  }

  #select() {
    const condition = this.#options.enabledWhere;
    const enabled =
      condition === undefined ? sql`1` : sql`case when (${sql.raw(condition)}) then 1 else 0 end`;
    // Cast to text, because a driver rounds numbers above 2^53 and could confuse two subjects.
    return sql`select cast(${this.#column()} as char) as sub, ${enabled} as enabled from ${sql.table(this.#options.table)}`;
  }

  #column() {
    return sql.ref(this.#options.column);
  }
}

interface Row {
  sub: string;
  enabled: number;
}

/** If a subject has several rows, one disabled row disables it. */
function toUser(sub: string, rows: Row[]): User {
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
