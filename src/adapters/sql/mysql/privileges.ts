import { MIGRATION_LOCK_TABLE, MIGRATION_TABLE } from '../table-prefix.js';

const ORDER = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'ALTER', 'INDEX'] as const;

type Privilege = (typeof ORDER)[number];

/** Privileges by table, without the prefix of `mysql.tablePrefix`. */
type TablePrivileges = Readonly<Record<string, readonly Privilege[]>>;

/** For everything except migrations and `audit prune`. Such an account cannot change a row of the audit log. */
const SERVICE: TablePrivileges = {
  keystore: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
  keystore_revision: ['SELECT', 'UPDATE'],
  users: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
  security_log: ['SELECT', 'INSERT', 'DELETE'],
  audit_log: ['SELECT', 'INSERT'],
  audit_head: ['SELECT', 'UPDATE'],
  event_consumers: ['SELECT', 'INSERT', 'UPDATE'],
  [MIGRATION_TABLE]: ['SELECT'],
};

/** Only for migrations. MySQL grants a privilege on a table that does not exist yet only together with CREATE. */
const SCHEMA: TablePrivileges = {
  keystore: ['CREATE', 'ALTER'],
  keystore_revision: ['INSERT', 'CREATE', 'ALTER'],
  users: ['CREATE', 'ALTER'],
  security_log: ['CREATE', 'ALTER', 'INDEX'],
  audit_log: ['CREATE', 'INDEX'],
  audit_head: ['INSERT', 'CREATE'],
  event_consumers: ['CREATE'],
  [MIGRATION_TABLE]: ['INSERT', 'CREATE'],
  [MIGRATION_LOCK_TABLE]: ['SELECT', 'INSERT', 'UPDATE', 'CREATE'],
};

const VERIFIER: TablePrivileges = {
  keystore: ['SELECT'],
  keystore_revision: ['SELECT'],
  users: ['SELECT'],
  security_log: ['SELECT'],
  [MIGRATION_TABLE]: ['SELECT'],
};

/** The least privileges of each kind of account. */
export const PRIVILEGES = {
  operator: merged(SERVICE, SCHEMA),
  service: SERVICE,
  verifier: VERIFIER,
} as const satisfies Record<string, TablePrivileges>;

export type MysqlRole = keyof typeof PRIVILEGES;

export interface MysqlAccount {
  /** `mysql://user@host/database` */
  url: URL;
  tablePrefix: string;
  /** A table of another program, which also has users. */
  userTable: string | null;
}

/** Stands for the password. MySQL rejects the statement until it is replaced. */
const PASSWORD = '<password>';

/** Returns the statements for an administrator. Those for `service` and `verifier` need the tables. */
export function accountStatements(role: MysqlRole, account: MysqlAccount): string[] {
  const database = databaseOf(account.url);
  const user = textOf(userFor(role, account.url));
  return [
    ...(role === 'operator' ? [`CREATE DATABASE IF NOT EXISTS ${nameOf(database)};`] : []),
    `CREATE USER IF NOT EXISTS ${user} IDENTIFIED BY ${PASSWORD};`,
    ...Object.entries(PRIVILEGES[role]).map(
      ([table, privileges]) =>
        `GRANT ${privileges.join(', ')} ON ${nameOf(database)}.${nameOf(account.tablePrefix + table)} TO ${user};`,
    ),
    ...(account.userTable === null
      ? []
      : [`GRANT SELECT ON ${qualifiedName(account.userTable, database)} TO ${user};`]),
  ];
}

/** The account in `mysql.url` is the operator's, unless its name says otherwise. */
function userFor(role: MysqlRole, url: URL): string {
  const user = decodeURIComponent(url.username);
  return role === 'operator' || user.endsWith(`_${role}`) ? user : `${user}_${role}`;
}

export function databaseOf(url: URL): string {
  return decodeURIComponent(url.pathname.slice(1));
}

/** Returns the privilege that a statement of jwtctl needs, and its only table. */
export function neededBy(statement: string): { privilege: string; table: string } | null {
  const form =
    /^\s*(select|insert|update|delete|create|alter)\b(?: (?:unique )?(index)\b)?(?:.*?\b(?:from|into|table|on))?(?: if not exists)? (?:`([^`]+)`|(\w+))/is;
  const [, verb, index, quoted, plain] = form.exec(statement) ?? [];
  const table = quoted ?? plain;
  return verb === undefined || table === undefined
    ? null
    : { privilege: (index ?? verb).toUpperCase(), table };
}

/** An SQL identifier. */
export function nameOf(text: string): string {
  return `\`${text.replaceAll('`', '``')}\``;
}

export function textOf(text: string): string {
  return `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
}

/** @param table `table` or `schema.table` */
function qualifiedName(table: string, database: string): string {
  const [name = '', schema = database] = table.split('.').reverse();
  return `${nameOf(schema)}.${nameOf(name)}`;
}

function merged(one: TablePrivileges, other: TablePrivileges): TablePrivileges {
  const tables = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries(
    [...tables].map((table) => [
      table,
      ORDER.filter((privilege) => one[table]?.includes(privilege) || other[table]?.includes(privilege)),
    ]),
  );
}
