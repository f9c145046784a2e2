import { isDeepStrictEqual } from 'node:util';
import { SqliteAdapter, sql } from 'kysely';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { isDeeper, MOST_LEVELS } from '../../../domain/shared/json-depth.js';
import { assertExactNumbers } from '../../../domain/shared/json-numbers.js';
import { excerpt } from '../../../domain/shared/text.js';
import type { SqlExecutor } from '../schema.js';

/** The columns with the claims of a user, by claim. */
export type ClaimColumns = Readonly<Record<string, string>>;

type ClaimKind = 'text' | 'number' | 'json';

/** Reads the claims of a user in the query that reads the user. */
export interface UserClaimReader {
  /** To select after other columns. */
  readonly selection: ReturnType<typeof sql>;
  /** Reads the types of the columns, once. @throws JwtctlError `ERR_CONFIG_VALUE_INVALID` (usage) */
  open(): Promise<void>;
  /** Reads the rows of one user. Omits claims whose column is NULL. Returns `ERR_USER_CLAIM_INVALID` (state) for others. */
  readAll(rows: readonly object[]): Record<string, unknown> | JwtctlError;
}

export function userClaimReader(db: SqlExecutor, table: string, claims: ClaimColumns): UserClaimReader {
  const columns = Object.entries(claims).map(([claim, column], index) => ({
    claim,
    column,
    as: `claim_${index}`,
  }));
  const selections = columns.map(({ column, as }) => selectionOf(db, column, as));
  let kinds: ReadonlyMap<string, ClaimKind | null> | undefined;
  return {
    selection: sql.join(selections, sql``),
    async open() {
      if (columns.length === 0 || kinds !== undefined) return;
      const types = await columnTypes(db, table);
      for (const { claim, column } of columns) {
        const type = types.get(column.toLowerCase());
        if (type !== undefined && kindOf(type) === undefined) throw unfit(table, claim, column, type);
      }
      kinds = new Map(
        columns.map(({ column }) => [column, kindOf(types.get(column.toLowerCase()) ?? '') ?? null]),
      );
    },
    readAll(rows) {
      try {
        const [claims = {}, ...others] = rows.map(read);
        if (others.every((other) => isDeepStrictEqual(other, claims))) return claims;
        return invalid(`Rows of ${table} for one user have different values in the columns of users.claims.`);
      } catch (error) {
        if (error instanceof JwtctlError) return error;
        throw error;
      }
    },
  };

  function read(row: object): Record<string, unknown> {
    const cells = row as Readonly<Record<string, string | null>>;
    const found: Array<[string, unknown]> = [];
    for (const { claim, column, as } of columns) {
      const text = cells[as];
      const stored = cells[`${as}_type`];
      const isNull = stored === undefined ? text === null : stored === 'null';
      if (isNull) continue;
      const kind = stored == null ? kinds?.get(column) : kindStored(stored, kinds?.get(column));
      found.push([claim, claimOf(String(text), kind ?? null, `The column ${column} of ${table}`)]);
    }
    return Object.fromEntries(found);
  }
}

/** Cast to text, because a driver rounds numbers. In SQLite, each value has a type of its own, and libsql fails on bytes as text. */
function selectionOf(db: SqlExecutor, name: string, as: string) {
  const column = sql.ref(name);
  if (!isSqlite(db)) return sql`, cast(${column} as char) as ${sql.ref(as)}`;
  return sql`, case typeof(${column}) when 'blob' then null else cast(${column} as char) end as ${sql.ref(as)},
    typeof(${column}) as ${sql.ref(`${as}_type`)}`;
}

function kindStored(stored: string, declared: ClaimKind | null | undefined): ClaimKind | null {
  if (stored === 'integer' || stored === 'real') return 'number';
  if (stored !== 'text') return null;
  return declared === 'json' ? 'json' : 'text';
}

function isSqlite(db: SqlExecutor): boolean {
  return db.getExecutor().adapter instanceof SqliteAdapter;
}

/** The declared type of each column, by its name in lower case. */
async function columnTypes(db: SqlExecutor, table: string): Promise<Map<string, string>> {
  const [name = '', schema] = table.split('.').reverse();
  if (isSqlite(db)) {
    const info = sql<{
      name: string;
      type: string;
    }>`select name, lower(type) as type from pragma_table_info(${name})`;
    const { rows } = await info.execute(db);
    // Only a declaration of JSON counts: kindStored takes the rest from the value.
    return new Map(rows.map((row) => [row.name.toLowerCase(), row.type === 'json' ? 'json' : 'text']));
  }
  const here = schema ?? sql`database()`;
  const types = sql<{ name: string; type: string }>`select column_name as name, data_type as type
    from information_schema.columns where table_schema = ${here} and table_name = ${name}`;
  const { rows } = await types.execute(db);
  const found = new Map(rows.map((row) => [row.name.toLowerCase(), row.type.toLowerCase()]));
  for (const column of await jsonColumns(db, here, name)) found.set(column, 'json');
  return found;
}

/** In MariaDB, JSON is LONGTEXT with a constraint. MySQL has no such constraint, and no table_name in this view. */
async function jsonColumns(db: SqlExecutor, schema: unknown, table: string): Promise<string[]> {
  const version = await sql<{ version: string }>`select version() as version`.execute(db);
  if (!/mariadb/i.test(version.rows[0]?.version ?? '')) return [];
  const checks = sql<{
    clause: string;
  }>`select check_clause as clause from information_schema.check_constraints
    where constraint_schema = ${schema} and table_name = ${table}`;
  const { rows } = await checks.execute(db);
  return rows.flatMap(({ clause }) => /^json_valid\(`([^`]+)`\)$/i.exec(clause)?.[1]?.toLowerCase() ?? []);
}

const KINDS: ReadonlyArray<[ClaimKind, RegExp]> = [
  ['number', /^(?:tinyint|smallint|mediumint|int|bigint|decimal|float|double|year)$/],
  [
    'text',
    /^(?:char|varchar|tinytext|text|mediumtext|longtext|enum|set|date|datetime|timestamp|time|uuid|inet4|inet6)$/,
  ],
  ['json', /^json$/],
];

function kindOf(type: string): ClaimKind | undefined {
  return KINDS.find(([, form]) => form.test(type))?.[0];
}

function claimOf(text: string, kind: ClaimKind | null, where: string): unknown {
  try {
    if (kind === 'text') return text;
    if (kind === 'number') {
      const value = Number(text);
      assertExactNumbers(text.replace(/^(-?)\./, '$10.'), where);
      return value;
    }
    if (kind === 'json') {
      assertExactNumbers(text, where);
      const value: unknown = JSON.parse(text);
      if (!isDeeper(value, MOST_LEVELS)) return value;
    }
  } catch (error) {
    if (error instanceof JwtctlError) throw invalid(error.message, error);
    if (!(error instanceof SyntaxError)) throw error;
  }
  const found = kind === 'json' ? 'JSON that cannot be read' : 'bytes';
  throw invalid(`${where} holds ${found}; expected text, a number, or JSON.`);
}

function invalid(message: string, cause?: Error): JwtctlError {
  return new JwtctlError('ERR_USER_CLAIM_INVALID', message, { cause });
}

function unfit(table: string, claim: string, column: string, type: string): JwtctlError {
  const message = `The column ${column} of ${table} for the claim ${excerpt(claim)} is ${type.toUpperCase()}; expected text, a number, or JSON.`;
  return new JwtctlError('ERR_CONFIG_VALUE_INVALID', message, {
    hint: 'Name another column in users.claims, or a view that casts it to CHAR.',
    details: { setting: 'users.claims' },
  });
}
