import type { TlsMaterial } from '../../../domain/shared/credentials.js';
import { type ErrorCode, JwtctlError } from '../../../domain/shared/errors.js';
import { socketPath } from '../../../domain/shared/socket-path.js';
import { describeClientCertificate, describeTlsFailure } from '../../../domain/shared/tls-failure.js';
import { ConflictError, duplicateKeyError } from '../stores/conflicts.js';
import { nameOf, neededBy, textOf } from './privileges.js';

const CONFLICTS = new Set(['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_CHECKREAD', 'ER_RECORD_CHANGED']);
const LOGIN_REFUSED = new Set([
  'ER_ACCESS_DENIED_ERROR',
  'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_NOT_SUPPORTED_AUTH_MODE',
  'AUTH_SWITCH_PLUGIN_ERROR',
  'ER_HOST_NOT_PRIVILEGED',
  'ER_HOST_IS_BLOCKED',
  'ER_MUST_CHANGE_PASSWORD',
  'ER_MUST_CHANGE_PASSWORD_LOGIN',
  'ER_ACCOUNT_HAS_BEEN_LOCKED',
  'ER_USER_IS_BLOCKED',
  'ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK',
  // The server no longer has the account's authentication plugin: MySQL 9 removed mysql_native_password.
  'ER_PLUGIN_IS_NOT_LOADED',
  'ER_USER_LOCK',
]);
const FORBIDDEN = new Set([
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_COLUMNACCESS_DENIED_ERROR',
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
]);
/** Sent by a replica, a demoted primary, or a node without its group. */
const READ_ONLY = new Set([
  1290, // ER_OPTION_PREVENTS_STATEMENT: read_only or super_read_only is set
  1792, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
  1836, // ER_READ_ONLY_MODE: innodb_read_only is set, as on a replica of Aurora
  1874, // ER_INNODB_READ_ONLY
  3100, // ER_RUN_HOOK_ERROR: group replication refuses the commit
]);
/** mysql2 (3.24.6) gives these MariaDB errors the name of an unrelated MySQL error. */
const MARIADB_NAMES = new Map([
  [4150, 'ER_USER_IS_BLOCKED'],
  [4151, 'ER_ACCOUNT_HAS_BEEN_LOCKED'],
]);
// mysql2 (3.24.6) has no name for it, or the name of another MySQL error.
const ER_CHECKREAD = 1020;
/** Sent by a server that is going down or does not serve queries yet, or by a proxy. */
const UNREACHABLE = new Set([
  1040, // ER_CON_COUNT_ERROR
  1047, // ER_UNKNOWN_COM_ERROR: from a Galera node that has lost its cluster
  1053, // ER_SERVER_SHUTDOWN
  1077, // ER_NORMAL_SHUTDOWN
  1079, // ER_SHUTDOWN_COMPLETE
  1158, // ER_NET_READ_ERROR
  1159, // ER_NET_READ_INTERRUPTED
  1160, // ER_NET_ERROR_ON_WRITE
  1161, // ER_NET_WRITE_INTERRUPTED
  1927, // MariaDB's ER_CONNECTION_KILLED
  2003, // CR_CONN_HOST_ERROR: from a proxy, about the server behind it
  2006, // CR_SERVER_GONE_ERROR
  2013, // CR_SERVER_LOST
  3032, // ER_SERVER_OFFLINE_MODE
  3168, // ER_SERVER_ISNT_AVAILABLE
  4031, // ER_CLIENT_INTERACTION_TIMEOUT
  9001, // ProxySQL: could not connect to a server in time
  9002, // ProxySQL: no server is left
]);
const UNABLE = new Set([
  1021, // ER_DISK_FULL
  1037, // ER_OUTOFMEMORY
  1041, // ER_OUT_OF_RESOURCES
  1114, // ER_RECORD_FILE_FULL
  1135, // ER_CANT_CREATE_THREAD
  1203, // ER_TOO_MANY_USER_CONNECTIONS
  1226, // ER_USER_LIMIT_REACHED
  1317, // ER_QUERY_INTERRUPTED
  1969, // MariaDB's ER_STATEMENT_TIMEOUT
  3024, // ER_QUERY_TIMEOUT
]);

/** An error from the server has a number. An error from the driver has only a code. */
interface DriverError extends Error {
  code?: string | undefined;
  errno?: number | undefined;
  fatal?: boolean | undefined;
  sqlState?: string | undefined;
}

export interface MysqlServer {
  url: URL;
  retryForMs: number;
}

/**
 * Returns an unknown error unchanged, so that it is reported as a defect: jwtctl wrote the statement, so
 * neither a retry nor a setting helps. `user-table.ts` handles SQL from settings.
 */
export function translateMysqlError(
  error: DriverError,
  { url, retryForMs }: MysqlServer,
  statement = '',
): unknown {
  if (error instanceof JwtctlError) return error;
  const { errno = 0 } = error;
  const code = driverCodeOf(error);
  const server = serverAt(url);
  const database = decodeURIComponent(url.pathname.slice(1));
  const unavailable = (ours: ErrorCode, message: string, hint: string) =>
    new JwtctlError(ours, message, { hint, details: { driverCode: code }, cause: error });

  if (CONFLICTS.has(code) || errno === ER_CHECKREAD) return new ConflictError(server, error, retryForMs);
  if (code === 'ER_DUP_ENTRY') return duplicateKeyError(error);
  if (LOGIN_REFUSED.has(code)) {
    return unavailable(
      'ERR_MYSQL_AUTH',
      `${server} refuses the login of user '${decodeURIComponent(url.username)}' to database '${database}' (${code}).`,
      'Check the user and database in `mysql.url`, the password (`mysql.password`, `mysql.passwordFile`, or `mysql.passwordCommand`), and `mysql.tls.cert` if the account requires a client certificate.',
    );
  }
  if (FORBIDDEN.has(code)) {
    const user = decodeURIComponent(url.username);
    const needed = neededBy(statement);
    // In a statement that changes rows, MySQL names a column only if it cannot read it.
    const privilege = code === 'ER_COLUMNACCESS_DENIED_ERROR' ? 'SELECT' : needed?.privilege;
    const what = needed === null ? 'a privilege' : `${privilege} on the table ${needed.table}`;
    return new JwtctlError(
      'ERR_MYSQL_FORBIDDEN',
      `${server} denied user '${user}' ${what} in database '${database}' (${code}).`,
      {
        hint:
          needed === null
            ? 'Grant the account the privileges that docs/storage.md lists.'
            : `Run as an administrator: GRANT ${privilege} ON ${nameOf(database)}.${nameOf(needed.table)} TO ${textOf(user)} (full list: docs/storage.md).`,
        details: { driverCode: code, ...(needed === null ? {} : { privilege, table: needed.table }) },
        cause: error,
      },
    );
  }
  if (isReadOnly(error)) {
    return unavailable(
      'ERR_MYSQL_READ_ONLY',
      `${server} accepts no writes (${code}).`,
      'It may be a replica, or a failover is running. Point `mysql.url` at the primary, or try again.',
    );
  }
  if (code === 'ER_BAD_DB_ERROR') {
    return new JwtctlError('ERR_DATABASE_UNKNOWN', `${server} has no database '${database}'.`, {
      hint: `Create it (CREATE DATABASE ${database}), then run \`jwtctl db migrate\`.`,
      cause: error,
    });
  }
  if (code === 'ER_NO_SUCH_TABLE' || code === 'ER_BAD_FIELD_ERROR') {
    const message = `A table or column is missing in database '${database}' (${code}).`;
    return new JwtctlError('ERR_SCHEMA_MISMATCH', message, { cause: error });
  }
  if (UNABLE.has(errno)) {
    return unavailable(
      'ERR_MYSQL_LIMIT_REACHED',
      `${server} reached a limit (${code}).`,
      'The limit may be disk space, connections, memory, or query time. Check the log of the server.',
    );
  }
  if (UNREACHABLE.has(errno) || code === 'ER_SERVER_GONE_ERROR' || !isAnswer(error)) {
    return unavailable(
      'ERR_MYSQL_UNREACHABLE',
      `${server} cannot be reached or does not respond (${code}).`,
      'Check the host and port in `mysql.url`, and check that the server is running.',
    );
  }
  return error;
}

/** No statement was sent yet, so even an unknown error comes from the server or from a setting. */
export function translateConnectError(
  error: DriverError,
  server: MysqlServer,
  { tls, isSecure }: { tls: TlsMaterial | undefined; isSecure: boolean },
): JwtctlError {
  const where = serverAt(server.url);
  const code = driverCodeOf(error);
  const refused = (ours: ErrorCode, message: string, hint: string) =>
    new JwtctlError(ours, message, { hint, details: { driverCode: code }, cause: error });

  if (tls !== undefined && !(error instanceof JwtctlError)) {
    const peer = { server: where, host: hostOf(server.url), group: 'mysql', tls } as const;
    const failure =
      describeTlsFailure(error.cause ?? error, peer) ??
      (isSecure && CLOSED.has(code) ? describeClientCertificate(peer) : null);
    if (failure !== null) return refused('ERR_MYSQL_TLS', failure.message, failure.hint);
  }
  if (tls === undefined && requiresTls(error)) {
    return refused(
      'ERR_MYSQL_TLS',
      `${where} accepts only connections with TLS (${code}).`,
      "Set `mysql.tls.enabled` (JWTCTL_MYSQL_TLS_ENABLED) to true, or `mysql.tls.ca` to the PEM file of the server's CA.",
    );
  }
  // mysql2 (3.24.6) reports every failure of the handshake with the same code.
  const connectionError = error.cause as DriverError | undefined;
  const known = translateMysqlError(
    connectionError !== undefined && CLOSED.has(connectionError.code ?? '') ? connectionError : error,
    server,
  );
  if (known instanceof JwtctlError && known.code === 'ERR_MYSQL_AUTH' && tls === undefined) {
    const hint = `${known.hint} If the account requires TLS, set \`mysql.tls.enabled\`.`;
    return new JwtctlError(known.code, known.message, { hint, details: known.details, cause: error });
  }
  if (known instanceof JwtctlError && isOfConnecting(known)) return known;
  return refused(
    'ERR_MYSQL_REFUSED',
    `${where} refused the connection (${code || error.name}).`,
    'Check that `mysql.url` points to a MySQL or MariaDB server, and check the log of the server or of a proxy in front of it.',
  );
}

/**
 * Only MySQL and MariaDB have a code for it. Some proxies and clouds send one that has other meanings too, so
 * their words decide: Azure (9002), Vitess (1105), ProxySQL (9006). The words of other codes name the user or the host,
 * which may be called `tls-app`.
 */
function requiresTls({ errno = 0, message }: DriverError): boolean {
  if (errno === ER_SECURE_TRANSPORT_REQUIRED) return true;
  return SAYS_TLS.has(errno) && /\b(ssl|tls)\b|(in)?secure (transport|connection)/i.test(message);
}

const ER_SECURE_TRANSPORT_REQUIRED = 3159;
const SAYS_TLS = new Set([1105, 9002, 9006]);

const CLOSED = new Set(['ECONNRESET', 'EPIPE', 'PROTOCOL_CONNECTION_LOST']);

function isOfConnecting({ kind, code }: JwtctlError): boolean {
  if (code === 'ERR_DATABASE_CONFLICT') return false;
  return kind === 'unavailable' || kind === 'usage' || code === 'ERR_DATABASE_UNKNOWN';
}

export function isReadOnly({ errno = 0 }: DriverError): boolean {
  return READ_ONLY.has(errno);
}

export function sessionRefused(error: DriverError, { url }: MysqlServer): JwtctlError {
  const driverCode = driverCodeOf(error) || error.name;
  const message = `${serverAt(url)} refuses the session settings of jwtctl (${driverCode}).`;
  return new JwtctlError('ERR_MYSQL_SESSION_REFUSED', message, {
    hint: 'jwtctl sets the isolation level, sql_mode, autocommit, and lock timeouts. Check that a proxy in front of the server passes them on.',
    details: { driverCode },
    cause: error,
  });
}

export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function serverAt(url: URL): string {
  return `MySQL at ${socketPath(url) ?? `${url.hostname}:${url.port || 3306}`}`;
}

function driverCodeOf({ code, errno, fatal }: DriverError): string {
  const name = MARIADB_NAMES.get(errno ?? 0) ?? code;
  return name ?? (errno === undefined ? (fatal ? 'connection closed' : 'unexpected reply') : String(errno));
}

/** Otherwise, the error comes from the network, or from the driver because it could not read the reply. */
export function isAnswer({ errno = 0, sqlState }: DriverError): boolean {
  // Errors of the system have negative numbers. Random bytes that look like an error have no SQLSTATE.
  return errno > 0 && sqlState !== '';
}
