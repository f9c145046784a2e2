import { isIPv6 } from 'node:net';
import {
  AddressProblem,
  decodePart,
  type Pair,
  type Parameters,
  readParameters,
  readQuery,
  readUserinfo,
  splitUserinfo,
} from './address-parts.js';
import { assertAddress } from './assert-address.js';
import { hostProblem, parseHostPort } from './host-port.js';

export interface MysqlUrl {
  /** `mysql://user@host[:port]/database[?socket=path]`, percent-encoded. */
  readonly url: string;
  readonly password: string | null;
  /** Null if the address does not decide it. */
  readonly tls: boolean | null;
}

/**
 * Reads a URL, or a connection string of another library.
 *
 * @throws AddressProblem naming the part that is missing or not understood
 */
export function readMysqlUrl(text: string): MysqlUrl {
  assertAddress('mysql', text, FORM);
  if (/^jdbc:tc:/i.test(text))
    throw new AddressProblem(
      `is for Testcontainers, which chooses the address when it starts; write ${FORM}`,
    );
  if (SEVERAL.test(text)) throw new AddressProblem(ONE_SERVER);
  const [, wrapper = '', scheme = '', rest = ''] = DRIVER_URL.exec(text) ?? [];
  const driver = wrapper.toLowerCase();
  if (scheme !== '') {
    if (!SCHEMES.test(scheme)) throw wrongScheme(scheme);
    if (/\+unix$/i.test(scheme)) throw new AddressProblem(UNIX_SOCKET);
    assertNothingAfter(rest);
    const url = urlOf(
      fromNetwork(rest, decodePart) ?? fromAuthority(rest),
      scheme,
      driver.startsWith('jdbc:'),
    );
    if (!driver.startsWith('r2dbcs:') && !TLS_SCHEME.test(scheme)) return url;
    if (url.tls === false) throw new AddressProblem('has parameters that turn TLS both on and off');
    return { ...url, tls: true };
  }
  // A DSN of Go never encodes the password, and may leave out the address.
  const dsn = fromNetwork(text.replace(/@(?=\/[^/]*$)/, '@tcp(127.0.0.1:3306)'), (part) => part);
  if (dsn !== null) return urlOf(dsn);
  const pairs = /^(?:(?:dbi:)?(?:mysql|mariadb):)?([\w ]+=.*)$/is.exec(text)?.[1];
  if (pairs !== undefined) return urlOf(fromPairs(pairs));
  if (/^(?:unix:\/*|\.{0,2}\/)/.test(text)) throw new AddressProblem(UNIX_SOCKET);
  if (/^[\w-]+:[\w-]+:[\w-]+$/.test(text)) throw new AddressProblem(CLOUD_SQL);
  if (/^(?:mysql2?|mariadb)\w*(?::|\/\/)/i.test(text))
    throw new AddressProblem(`has a scheme that does not end in ://; write ${FORM}`);
  throw new AddressProblem(`is not a URL; write ${FORM}`);
}

const FORM = 'mysql://user[:password]@host[:port]/database';
const ONE_SERVER = 'names several servers; jwtctl writes to one, so name the primary';
const SEVERAL = /^jdbc:(?:[\w-]+:)*(?:mysql|mariadb):(?!aws:)[\w-]+:\/\/|^(?:mysql|mariadb)\+srv:/i;
/** Wrappers of JDBC and R2DBC that log, pool, or fail over come before the scheme, or after it (`mysql:aws:`). */
const DRIVER_URL =
  /^(jdbc:(?:(?:aws-wrapper|log4jdbc|p6spy|otel):)?|r2dbcs?:(?:(?:pool|proxy):)?)?([\w.+-]+)(?:(?<=^jdbc:mysql):aws)?:\/\/(.*)$/is;
const SCHEMES =
  /^(?:mysql2?|mysqls|mysqli|mysqlgis|mysql[.-]connector|mariadb|trilogy|pdo[_-]mysql|mysql\+\w+|mariadb\+\w+)$/i;
/** A driver may not drop the demand for TLS that a scheme makes. */
const TLS_SCHEME = /^(?:mysqls|(?:mysql|mariadb)\+(?:tls|ssl))$/i;
const DATABASES =
  /^(postgres|postgresql|pgsql|sqlite|sqlite3|libsql|mongodb|sqlserver|mssql|oracle|cockroachdb)(?:\+\w+)?$/i;
const UNIX_SOCKET = 'is a Unix socket; write mysql://user@localhost/database?socket=/path/to/the.sock';
const CLOUD_SQL = 'is for the Cloud SQL connector; use the host or the socket of the Cloud SQL Auth Proxy';

function wrongScheme(scheme: string): AddressProblem {
  if (/^(?:redis|valkey)/i.test(scheme))
    return new AddressProblem('is the address of Redis; set redis.nodes instead');
  if (/^mysqlx(?:\+srv)?$/i.test(scheme))
    return new AddressProblem(
      'is for the X Protocol; use mysql:// and the port of the classic protocol (3306)',
    );
  if (/^unix$/i.test(scheme)) return new AddressProblem(UNIX_SOCKET);
  if (DATABASES.test(scheme))
    return new AddressProblem(
      `is for ${scheme.toLowerCase().replace(/\+.*/, '')}; jwtctl needs MySQL or MariaDB`,
    );
  return new AddressProblem(`does not begin with mysql:// or mariadb://; write ${FORM}`);
}

interface Address {
  readonly user: string;
  readonly password: string;
  readonly server: string;
  readonly socket?: string;
  readonly database: string;
  readonly parameters: Parameters;
}

/** `user:password@host:port/database?parameters` */
function fromAuthority(text: string): Address {
  // Otherwise, the first one and a part of the second one would become the user and the password.
  if (/(?:mysql|mariadb):\/\//i.test(text)) throw new AddressProblem('has two addresses in it; keep one');
  const split = splitUserinfo(text, /(?:\/([^@/?#]*))?/);
  if (split === null) {
    if (text.includes('#')) throw new AddressProblem('has a # outside the password; remove it');
    throw new AddressProblem(`does not have the form ${FORM}`);
  }
  const [, server = '', database = '', query] = split.match;
  return {
    ...readUserinfo(split.userinfo),
    server,
    database: decodePart(database, 'database name'),
    parameters: parametersOf(readQuery(query)),
  };
}

/** `user:password@tcp(host:port)/database?parameters`, the form of Go. */
function fromNetwork(text: string, decode: typeof decodePart): Address | null {
  const match = /^(?:(.*)@)?(tcp|tcp4|tcp6|unix|cloudsql\w*|)(?:\(([^()]*)\))?\/([^/?]*)(?:\?(.*))?$/s.exec(
    text,
  );
  const [, userinfo = '', network, place, database = '', query] = match ?? [];
  if (match === null || place === undefined) return null;
  if (network?.startsWith('cloudsql')) throw new AddressProblem(CLOUD_SQL);
  return {
    ...readUserinfo(userinfo, decode),
    server: network === 'unix' ? '' : place,
    ...(network === 'unix' ? { socket: place } : {}),
    database: decode(database, 'database name'),
    parameters: parametersOf(readQuery(query)),
  };
}

/** `host=…;dbname=…`, the form of PDO and ADO.NET. */
function fromPairs(text: string): Address {
  if (!text.includes(';') && /\s\w+=/.test(text))
    throw new AddressProblem(`has spaces between its values; write semicolons, or ${FORM}`);
  const pairs = text.split(';').flatMap((pair): Pair[] => {
    const equals = pair.indexOf('=');
    if (pair.trim() === '') return [];
    if (equals < 1) throw new AddressProblem(`has a value with a semicolon; write ${FORM}`);
    const value = pair.slice(equals + 1).trim();
    return [[pair.slice(0, equals).trim(), value.replace(/^(["'])(.*)\1$/, '$2')]];
  });
  const parameters = parametersOf(pairs, [...HOST, ...PORT, ...DATABASE]);
  const first = (names: readonly string[]) =>
    names.map((name) => parameters.others.get(name)).find((value) => value);
  const host = first(HOST) ?? '';
  const port = first(PORT);
  const bracketed = isIPv6(host) ? `[${host}]` : host;
  return {
    user: '',
    password: '',
    server: port === undefined ? bracketed : `${bracketed}:${port}`,
    database: first(DATABASE) ?? '',
    parameters,
  };
}

const HOST = ['host', 'server', 'datasource', 'address', 'addr'];
const PORT = ['port'];
const DATABASE = ['dbname', 'database', 'initialcatalog'];
const SOCKET = ['socket', 'unixsocket', 'socketpath', 'localsocket'];

function parametersOf(pairs: readonly Pair[], more: readonly string[] = []): Parameters {
  return readParameters('mysql', pairs, [...SOCKET, ...more]);
}

/** What a list or a statement has after the address would become a part of the database's name. */
function assertNothingAfter(url: string): void {
  if (/[,;]$/.test(url)) throw new AddressProblem('ends with a comma or a semicolon; remove it');
}

function urlOf(address: Address, scheme = 'mysql', isJdbc = false): MysqlUrl {
  const { parameters, server, database } = address;
  const { tls, others } = parameters;
  const user = oneOf(address.user, parameters.user, 'user');
  const password = oneOf(address.password, parameters.password, 'password');
  const socket = address.socket ?? SOCKET.map((name) => others.get(name)).find((path) => path);
  if (server.includes(',')) throw new AddressProblem(ONE_SERVER);
  if (user === '') {
    throw new AddressProblem(
      isJdbc ? `has no user; add ?user=, or write ${FORM}` : `has no user; write ${FORM}`,
    );
  }
  if (database === '') throw new AddressProblem(`names no database; write ${FORM}`);
  if (/^\.+$/.test(database))
    throw new AddressProblem(`has dots in place of the database's name; write ${FORM}`);
  if (database.includes('/')) throw new AddressProblem('has a slash in the name of the database');
  if (socket !== undefined && !socket.startsWith('/'))
    throw new AddressProblem('has a socket that is not an absolute path');
  const place = socket === undefined ? hostOf(server) : hostOf(server || 'localhost');
  const path = socket === undefined ? '' : `?socket=${encodeURIComponent(socket)}`;
  const family = scheme.toLowerCase().startsWith('mariadb') ? 'mariadb' : 'mysql';
  return {
    url: `${family}://${encodeURIComponent(user)}@${place}/${encodeURIComponent(database)}${path}`,
    password: password === '' ? null : password,
    tls,
  };
}

function oneOf(inFront: string, asParameter: string | undefined, what: string): string {
  if (inFront !== '' && asParameter !== undefined && inFront !== asParameter)
    throw new AddressProblem(`has two different values for the ${what}`);
  return inFront === '' ? (asParameter ?? '') : inFront;
}

function hostOf(server: string): string {
  if (server === '') throw new AddressProblem(`names no host; write ${FORM}`);
  if (isIPv6(server)) throw new AddressProblem('has an IPv6 address without brackets; write [address]');
  if (parseHostPort(server) !== null) return server;
  throw new AddressProblem(hostProblem(server));
}
