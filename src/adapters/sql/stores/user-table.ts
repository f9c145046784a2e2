import { type RawBuilder, SqliteAdapter, sql } from 'kysely';
import type { User, UserDirectory } from '../../../domain/ports/index.js';
import { groupBy } from '../../../domain/registry/group-entries.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { containsText } from '../../../domain/shared/search-text.js';
import { excerpt } from '../../../domain/shared/text.js';
import type { SqlExecutor } from '../schema.js';
import { mayContain } from './like-pattern.js';
import { inPortions } from './portions.js';
import { type ClaimColumns, type UserClaimReader, userClaimReader } from './user-claims.js';

export interface UserTableOptions {
  /** `table` or `schema.table` */
  table: string;
  column: string;
  /** Default: `text` */
  idType?: 'text' | 'uuid-binary' | undefined;
  /** An SQL condition for enabled users. Default: every row is an enabled user */
  enabledWhere?: string | null | undefined;
  /** Read with each user. Default: none */
  claims?: ClaimColumns | null | undefined;
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
  { table, column: name, idType = 'text', enabledWhere, claims }: UserTableOptions,
): UserDirectory {
  const column = sql.ref(name);
  const enabled = enabledWhere == null ? sql`1` : sql`case when (${sql.raw(enabledWhere)}) then 1 else 0 end`;
  const isBinary = idType === 'uuid-binary';
  // Cast to text, because a driver rounds numbers above 2^53 and could confuse two subjects.
  const shown = isBinary ? sql`hex(${column})` : sql`cast(${column} as char)`;
  const claimReader = claims == null ? null : userClaimReader(db, table, claims);
  const selection = sql`${shown} as sub, ${enabled} as enabled${claimReader?.selection ?? sql``}`;
  const select = sql`select ${selection} from ${sql.table(table)}`;

  async function rowsBy(clauses: RawBuilder<unknown>): Promise<Row[]> {
    try {
      const { rows } = await sql<Row>`${select} ${clauses}`.execute(db);
      // After the query, which says what is wrong with the table.
      await claimReader?.open();
      return isBinary ? rows.map((row) => ({ ...row, sub: uuidOf(row.sub) })) : rows;
    } catch (error) {
      if (isMistakeInStatement(error, table)) throw unusableTable(table, await problemOf(error), error);
      const isForbidden = error instanceof JwtctlError && error.code === 'ERR_MYSQL_FORBIDDEN';
      throw isForbidden ? notReadable(table, error) : error;
    }
  }

  /** As a subject, a UUID has only one spelling, in lowercase. Any other spelling is not a user, and needs no query. */
  const isPossible = (sub: string) => !isBinary || UUID.test(sub);
  const storedAs = (sub: string) => (isBinary ? Buffer.from(sub.replaceAll('-', ''), 'hex') : sub);

  /** Null on SQLite, where any column holds any type. */
  async function columnType(): Promise<string | null> {
    if (db.getExecutor().adapter instanceof SqliteAdapter) return null;
    const [tableName = '', schema] = table.split('.').reverse();
    const query = sql<{ type: string }>`select column_type as type from information_schema.columns
      where table_schema = ${schema ?? sql`database()`} and table_name = ${tableName} and column_name = ${name}`;
    return (await query.execute(db)).rows[0]?.type.toLowerCase() ?? null;
  }

  async function problemOf(error: Error): Promise<string> {
    switch (refusedCodeOf(error)) {
      case 'ER_NO_SUCH_TABLE':
        return 'does not exist';
      case 'ER_BAD_FIELD_ERROR':
        return (await columnType().catch(() => null)) === null
          ? `has no column '${name}'`
          : `lacks a column that users.enabledWhere${claims == null ? '' : ' or users.claims'} names`;
      default:
        return 'cannot be read';
    }
  }

  async function rowsOfOne(sub: string): Promise<Row[]> {
    return rowsBy(sql`where ${column} = ${storedAs(sub)}`).catch((error) => {
      if (isUnrepresentable(sub, error)) return [];
      throw error;
    });
  }

  /** One subject that the column's character set cannot represent makes the whole query fail. */
  async function rowsOf(subs: readonly string[]): Promise<Row[]> {
    const among = (some: readonly string[]) =>
      rowsBy(sql`where ${column} in (${sql.join(some.map(storedAs))})`);
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
    async check() {
      await rowsBy(sql`limit 1`);
      const type = await columnType();
      if (type !== null && (type === 'binary(16)') !== isBinary) throw misfit(table, name, type, isBinary);
    },

    missing(sub) {
      const shown = excerpt(sub);
      return new JwtctlError('ERR_USER_UNKNOWN', `${table} has no row with ${name} = '${shown}' (the sub).`, {
        hint: 'Check `users.table`, `users.column`, and `users.idType`.',
      });
    },

    async find(sub) {
      if (!isPossible(sub)) return null;
      // The column's collation may match `Alice` or `alice ` for `alice`. Subjects compare byte for byte.
      const exact = (await rowsOfOne(sub)).filter((row) => row.sub === sub);
      return exact.length === 0 ? null : toUser(sub, exact, claimReader);
    },

    async findMany(subs) {
      const wanted = new Set(subs.filter(isPossible));
      const rows = (await inPortions([...wanted], rowsOf)).filter(({ sub }) => wanted.has(sub));
      const users = [...groupBy(rows, ({ sub }) => sub)];
      return new Map(users.map(([sub, own]) => [sub, toUser(sub, own, claimReader)]));
    },

    async *list(search, from) {
      // The text of a UUID is not in the table.
      const condition = search === undefined || isBinary ? null : mayContain([column], search);
      const start = from === undefined ? null : isBinary ? uuidsFrom(from) : from;
      const matching = sql`${condition === null ? sql`` : sql` and ${condition}`}${start === null ? sql`` : sql` and ${column} >= ${start}`}`;
      for (let offset = 0; ; offset += PAGE) {
        const page = sql`limit ${sql.lit(PAGE)} offset ${sql.lit(offset)}`;
        const rows = await rowsBy(sql`where ${column} is not null${matching} order by ${column} ${page}`);
        for (const row of rows) {
          if (search === undefined || containsText(row.sub, search))
            yield toUser(row.sub, [row], claimReader);
        }
        if (rows.length < PAGE) return;
      }
    },
  };
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function uuidOf(hex: string): string {
  return hex.toLowerCase().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Returns the bytes of the lowest UUID that begins with this text; those of the lowest UUID if none does. */
function uuidsFrom(text: string): Buffer {
  const hex = text.replaceAll('-', '').toLowerCase();
  return Buffer.from(/^[0-9a-f]{0,32}$/.test(hex) ? hex.padEnd(32, '0') : ''.padEnd(32, '0'), 'hex');
}

interface Row {
  sub: string;
  enabled: number;
}

/** If a subject has several rows, one disabled row disables it, and all of them must have the same claims. */
function toUser(sub: string, rows: readonly Row[], claimReader: UserClaimReader | null): User {
  const claims = claimReader?.readAll(rows);
  const isEnabled = rows.every((row) => Number(row.enabled) === 1);
  return {
    sub,
    name: null,
    status: isEnabled ? 'enabled' : 'disabled',
    version: 0,
    createdAt: null,
    updatedAt: null,
    ...(claims === undefined ? {} : { claims }),
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

function refusedCodeOf(error: Error): string {
  return driverCodeOf(error instanceof JwtctlError ? error.cause : error);
}

function unusableTable(table: string, problem: string, cause: Error): JwtctlError {
  const driverCode = refusedCodeOf(cause);
  return new JwtctlError('ERR_USER_TABLE_UNREADABLE', `The user table ${table} ${problem} (${driverCode}).`, {
    hint: 'Check `users.table`, `users.column`, `users.enabledWhere`, and `users.claims`. The database rejected the SQL made from these settings.',
    details: { driverCode },
    cause,
  });
}

function notReadable(table: string, cause: JwtctlError): JwtctlError {
  return new JwtctlError(cause.code, `The MySQL account lacks permission to read the user table ${table}.`, {
    hint: `Run as an administrator: GRANT SELECT ON ${table} TO the account in mysql.url. SELECT on the columns in users.column, users.enabledWhere, and users.claims is enough.`,
    details: cause.details,
    cause,
  });
}

function misfit(table: string, column: string, type: string, isBinary: boolean): JwtctlError {
  const message = `The column ${column} of ${table} is ${type.toUpperCase()}, which does not fit users.idType ${isBinary ? 'uuid-binary' : 'text'}.`;
  return new JwtctlError('ERR_CONFIG_VALUE_INVALID', message, {
    hint: isBinary
      ? 'Set users.idType (JWTCTL_USERS_ID_TYPE) to text, or users.column to the BINARY(16) column.'
      : 'Set users.idType (JWTCTL_USERS_ID_TYPE) to uuid-binary, if the column holds UUIDs.',
    details: { setting: 'users.idType' },
  });
}

function driverCodeOf(error: unknown): string {
  const { code, errno } = error as { code?: string; errno?: number };
  return code ?? String(errno ?? '');
}
