import { connect, isIP, type Socket } from 'node:net';
import { checkServerIdentity, type TLSSocket } from 'node:tls';
import mysql, { type Connection, type ConnectionOptions } from 'mysql2';
import type { RecordCall } from '../../../domain/ports/index.js';
import { type Credentials, dialWith, type ReadCredentials } from '../../../domain/shared/credentials.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { socketPath } from '../../../domain/shared/socket-path.js';
import { hostOf, type MysqlServer, translateConnectError } from './mysql-errors.js';

export interface MysqlOptions {
  /** `mysql://user@host[:port]/database[?socket=path]` */
  url: string;
  /** Called for each connection. */
  credentials: ReadCredentials;
  timeoutMs: number;
  /** Put before the names of jwtctl's tables. */
  tablePrefix?: string | undefined;
  recordCall?: RecordCall | undefined;
}

/** @param sockets contains the connection's socket until it is closed */
export async function dialMysql(
  options: MysqlOptions,
  server: MysqlServer,
  sockets: Set<Socket>,
): Promise<Connection> {
  const isRefusal = (error: unknown) =>
    error instanceof JwtctlError && ['ERR_MYSQL_AUTH', 'ERR_MYSQL_TLS'].includes(error.code);
  return dialWith(options.credentials, (fresh) => logIn(options, fresh, server, sockets), isRefusal);
}

function logIn(
  { timeoutMs }: MysqlOptions,
  { password, tls }: Credentials,
  server: MysqlServer,
  sockets: Set<Socket>,
): Promise<Connection> {
  const { url } = server;
  const host = hostOf(url);
  const path = socketPath(url);
  const place = path === null ? { host, port: Number(url.port || 3306) } : { path };
  const socket = connect({ ...place, noDelay: true, keepAlive: true, keepAliveInitialDelay: 5000 });
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));

  return new Promise((resolve, reject) => {
    let identity = { isChecked: false };
    const refuse = (error: Error) => {
      socket.destroy();
      reject(translateConnectError(error, server, { tls, isSecure: identity.isChecked }));
    };
    try {
      const connection = mysql.createConnection({
        ...connectionOptions(url, password),
        stream: socket,
        // With `ssl` set, mysql2 encrypts, and its plugins may send a password in the clear over TLS.
        ...(tls === undefined
          ? {}
          : { ssl: { ...tls, rejectUnauthorized: true, verifyIdentity: isIP(host) === 0 } }),
        connectTimeout: timeoutMs,
      });
      // An unhandled error event would end the process. Queries report the error anyway.
      connection.on('error', () => {});
      silence(connection);
      if (tls !== undefined) identity = checkIdentity(connection, host);
      connection.connect((error) => {
        if (error) refuse(error);
        else if (tls !== undefined && !identity.isChecked)
          refuse(new Error('mysql2 did not start TLS as expected.'));
        else resolve(connection);
      });
    } catch (error) {
      refuse(error as Error);
    }
  });
}

function connectionOptions(url: URL, password = ''): ConnectionOptions {
  return {
    host: hostOf(url),
    port: Number(url.port || 3306),
    user: decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    ...(password === '' ? {} : { password }),
    charset: 'utf8mb4',
    // Without this flag, a server could request any local file during a query (LOAD DATA LOCAL).
    flags: ['-LOCAL_FILES'],
    // VARBINARY would arrive as a Buffer. All binary columns contain UTF-8.
    typeCast: (field, next) =>
      field.type === 'VAR_STRING' || field.type === 'STRING' ? field.string('utf8') : next(),
  };
}

/** mysql2 (3.24.6) prints a warning or a stack trace if it cannot read a packet. Its error says enough. */
function silence(connection: Connection): void {
  const driver = connection as unknown as { handlePacket(packet?: unknown): void };
  const { handlePacket } = driver;
  driver.handlePacket = (packet) => {
    const { error, trace } = console;
    console.error = console.trace = () => {};
    try {
      handlePacket.call(driver, packet);
    } finally {
      Object.assign(console, { error, trace });
    }
  };
}

/** mysql2 calls `onSecure` once the certificate chain is verified, then logs in. Not in its types. */
interface StartsTls {
  startTLS(onSecure: (error?: Error) => void): void;
  stream: TLSSocket;
}

/**
 * Checks the certificate's name before the login. For an IP address, mysql2 (3.24.6) passes Node no name, so
 * only a certificate for `localhost` would match. It also reports every TLS failure with the same code.
 */
function checkIdentity(connection: Connection, host: string): { isChecked: boolean } {
  const driver = connection as unknown as StartsTls;
  const { startTLS } = driver;
  const identity = { isChecked: false };
  driver.startTLS = (onSecure) =>
    startTLS.call(driver, (error) => {
      const failure = error ?? checkServerIdentity(host, driver.stream.getPeerCertificate(true));
      identity.isChecked = true;
      onSecure(failure === undefined ? undefined : new Error('TLS failed.', { cause: failure }));
    });
  return identity;
}
