import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { AccountRight, AccountRights } from '../../../domain/ports/account-rights.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Schema } from '../schema.js';
import { tableName } from '../table-prefix.js';
import { databaseOf, nameOf, PRIVILEGES, textOf } from './privileges.js';

/** Changes nothing. An account that cannot write at all is compared with that of a verifier. */
export async function readMysqlRights(db: Kysely<Schema>, url: URL): Promise<AccountRights> {
  const user = decodeURIComponent(url.username);
  const schema = nameOf(databaseOf(url));
  const missing: Array<{ table: string; privilege: string }> = [];
  for (const [table, privileges] of Object.entries(PRIVILEGES.service))
    for (const privilege of privileges)
      if (await isDenied(db, explained(privilege, table))) missing.push({ table, privilege });
  const canWrite = Object.values(PRIVILEGES.service).flat().filter(isWrite).length;
  const isVerifier = missing.filter(({ privilege }) => isWrite(privilege)).length === canWrite;
  const needed: Readonly<Record<string, readonly string[]>> = isVerifier
    ? PRIVILEGES.verifier
    : PRIVILEGES.service;
  return {
    account: `The MySQL account ${textOf(user)}`,
    missing: missing
      .filter(({ table, privilege }) => needed[table]?.includes(privilege))
      .map(({ table, privilege }) => ({
        right: `${privilege} on ${tableName(db, table)}`,
        statement: `GRANT ${privilege} ON ${schema}.${nameOf(tableName(db, table))} TO ${textOf(user)};`,
      })),
    excess: (await grantsOf(db)).flatMap((grant) => excessOf(grant, db, url)),
  };
}

function isWrite(privilege: string): boolean {
  return privilege !== 'SELECT';
}

/** EXPLAIN needs the privileges of the statement, and does not run it. */
function explained(privilege: string, table: string): RawBuilder<unknown> {
  const name = sql.table(table);
  const column = sql.ref(table === 'users' ? 'version' : 'id');
  switch (privilege) {
    case 'INSERT':
      return sql`explain insert into ${name} values ()`;
    case 'UPDATE':
      return sql`explain update ${name} set ${column} = 0 where false`;
    case 'DELETE':
      return sql`explain delete from ${name} where false`;
    default:
      return sql`explain select 1 from ${name} where false`;
  }
}

async function isDenied(db: Kysely<Schema>, statement: RawBuilder<unknown>): Promise<boolean> {
  try {
    await statement.execute(db);
    return false;
  } catch (error) {
    if (error instanceof JwtctlError && error.code === 'ERR_MYSQL_FORBIDDEN') return true;
    if (error instanceof JwtctlError && error.kind === 'unavailable') throw error;
    // The server has checked the privileges before it found anything else.
    return false;
  }
}

interface Grant {
  privileges: string[];
  schema: string;
  table: string;
  account: string;
}

/** Drops everything else of the statements, such as the hash of a password in MariaDB. */
async function grantsOf(db: Kysely<Schema>): Promise<Grant[]> {
  const { rows } = await sql<Record<string, string>>`show grants`.execute(db);
  return rows.flatMap((row) => {
    const [, list, schema, table, account, rest] = GRANT.exec(Object.values(row)[0] ?? '') ?? [];
    if (list === undefined || schema === undefined || table === undefined || account === undefined) return [];
    const privileges = list.split(/, ?(?![^(]*\))/);
    if (rest?.includes('WITH GRANT OPTION')) privileges.push('GRANT OPTION');
    return [{ privileges, schema, table, account }];
  });
}

const NAME = '(?:\\*|`(?:[^`]|``)*`)';
const ACCOUNT = "(?:`(?:[^`]|``)*`|'(?:[^']|'')*')";
const GRANT = new RegExp(`^GRANT (.+?) ON (${NAME})\\.(${NAME}) TO (${ACCOUNT}@${ACCOUNT})(.*)$`);

function excessOf(
  { privileges, schema, table, account }: Grant,
  db: Kysely<Schema>,
  url: URL,
): AccountRight[] {
  const isOwnSchema = schema.replaceAll('\\', '') === nameOf(databaseOf(url));
  const own = Object.entries(PRIVILEGES.operator).find(([name]) => table === nameOf(tableName(db, name)));
  const needed: readonly string[] = isOwnSchema && own !== undefined ? own[1] : [];
  const isReading = (privilege: string) => /^SELECT\b/.test(privilege) && schema !== '*';
  const excess = privileges.filter(
    (privilege) => privilege !== 'USAGE' && !needed.includes(privilege) && !isReading(privilege),
  );
  if (excess.length === 0) return [];
  const object = `${schema}.${table}`;
  return [
    {
      right: `${shortened(excess)} on ${object.replaceAll('`', '')}`,
      // ALL PRIVILEGES must stand alone.
      statement: [
        excess.filter((one) => one !== 'GRANT OPTION'),
        excess.filter((one) => one === 'GRANT OPTION'),
      ]
        .filter((some) => some.length > 0)
        .map((some) => `REVOKE ${some.join(', ')} ON ${object} FROM ${account};`)
        .join(' '),
    },
  ];
}

const MOST_NAMED = 8;

function shortened(privileges: readonly string[]): string {
  const rest = privileges.length - MOST_NAMED;
  return [...privileges.slice(0, MOST_NAMED), ...(rest > 0 ? [`${rest} more`] : [])].join(', ');
}
