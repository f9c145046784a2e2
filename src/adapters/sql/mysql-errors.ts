import { JwtctlError } from '../../domain/errors.js';
import { conflictError, duplicateKeyError } from './conflicts.js';

const CONFLICTS = new Set(['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_CHECKREAD', 'ER_RECORD_CHANGED']);
const LOGIN_REFUSED = new Set([
  'ER_ACCESS_DENIED_ERROR',
  'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_NOT_SUPPORTED_AUTH_MODE',
  'AUTH_SWITCH_PLUGIN_ERROR',
  'ER_HOST_NOT_PRIVILEGED',
  'ER_HOST_IS_BLOCKED',
  'ER_MUST_CHANGE_PASSWORD_LOGIN',
  'ER_ACCOUNT_HAS_BEEN_LOCKED',
  'ER_USER_LOCK',
  'ER_SECURE_TRANSPORT_REQUIRED',
]);
const FORBIDDEN = new Set([
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_COLUMNACCESS_DENIED_ERROR',
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
]);
const READ_ONLY = new Set([
  'ER_OPTION_PREVENTS_STATEMENT',
  'ER_READ_ONLY_MODE',
  'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION',
]);
const TLS = new Set([
  'HANDSHAKE_NO_SSL_SUPPORT',
  'HANDSHAKE_SSL_ERROR',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);
// MariaDB speaks of a changed record with a number that mysql2 has another name for.
const ER_CHECKREAD = 1020;

interface DriverError extends Error {
  code?: string | undefined;
  errno?: number | undefined;
}

/** mysql2's error as one of ours, by its code alone. `url` is read for host, user and database only. */
export function translateMysqlError(error: DriverError, url: URL): unknown {
  if (error instanceof JwtctlError) return error;
  const code = error.code ?? '';
  const server = `MySQL at ${url.hostname}:${url.port || 3306}`;
  const database = decodeURIComponent(url.pathname.slice(1));
  const unavailable = (ours: string, message: string, hint: string) =>
    new JwtctlError('unavailable', ours, message, { hint, details: { driverCode: code }, cause: error });

  if (CONFLICTS.has(code) || error.errno === ER_CHECKREAD) return conflictError(server, error);
  if (code === 'ER_DUP_ENTRY') return duplicateKeyError(error);
  if (LOGIN_REFUSED.has(code)) {
    return unavailable(
      'ERR_MYSQL_AUTH',
      `${server} refuses the login of user '${decodeURIComponent(url.username)}' to database '${database}' (${code}).`,
      'Check the user and the database in `mysql.url`, and the password in it or in the file that `mysql.passwordFile` names.',
    );
  }
  if (TLS.has(code)) {
    return unavailable(
      'ERR_MYSQL_TLS',
      `No TLS connection to ${server} (${code}).`,
      'Check `mysql.tls.ca` and that the certificate is for the host in `mysql.url`.',
    );
  }
  if (FORBIDDEN.has(code)) {
    return unavailable(
      'ERR_MYSQL_FORBIDDEN',
      `${server} does not let user '${decodeURIComponent(url.username)}' do this in database '${database}' (${code}).`,
      'The account needs SELECT, INSERT, UPDATE and DELETE; for `jwtctl db migrate` also CREATE, ALTER and INDEX.',
    );
  }
  if (READ_ONLY.has(code)) {
    return unavailable(
      'ERR_MYSQL_READ_ONLY',
      `${server} takes no writes now (${code}).`,
      'It may be a replica, or failing over: point `mysql.url` to the primary, or try again.',
    );
  }
  if (code === 'ER_BAD_DB_ERROR') {
    return new JwtctlError('not_found', 'ERR_DATABASE_UNKNOWN', `${server} has no database '${database}'.`, {
      hint: `Create it (CREATE DATABASE ${database}), then run \`jwtctl db migrate\`.`,
      cause: error,
    });
  }
  if (code === 'ER_NO_SUCH_TABLE' || code === 'ER_BAD_FIELD_ERROR') {
    return new JwtctlError(
      'state',
      'ERR_SCHEMA_MISMATCH',
      `A table or column is missing in database '${database}' (${code}).`,
      {
        hint: 'Run `jwtctl db status`; for a user table of your own, check `users.table`, `users.column` and `users.enabledWhere`.',
        cause: error,
      },
    );
  }
  if (isUnreachable(error)) {
    return unavailable(
      'ERR_MYSQL_UNREACHABLE',
      `${server} cannot be reached or does not answer (${code}).`,
      'Check host and port in `mysql.url` and that the server runs. `--timeout` sets how long is waited.',
    );
  }
  return error;
}

/** Whatever the network or the driver's protocol reports, as opposed to an answer of the server (which has an `errno` above 1000). */
function isUnreachable(error: DriverError): boolean {
  const code = error.code ?? '';
  return (
    (/^(E[A-Z_]+|PROTOCOL_.*|POOL_.*)$/.test(code) && !code.startsWith('ER_') && !code.startsWith('ERR_')) ||
    code === 'ER_CON_COUNT_ERROR' ||
    code === 'ER_SERVER_SHUTDOWN' ||
    code === 'ER_SERVER_GONE_ERROR'
  );
}
