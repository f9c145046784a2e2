import { connect, isIP, type Socket } from 'node:net';
import { checkServerIdentity, type TLSSocket } from 'node:tls';
import mysql, { type Connection, type ConnectionOptions } from 'mysql2';
import { type Credentials, dialWith, type ReadCredentials } from '../../domain/credentials.js';
import { JwtctlError } from '../../domain/errors.js';
import { hostOf, type MysqlServer, translateConnectError } from './mysql-errors.js';

export interface MysqlOptions {
  /** `mysql://user[:password]@host[:port]/database` */
  url: string;
  /** Asked for each connection. A password goes before the one in the URL. Default: that one, without TLS. */
  credentials?: ReadCredentials;
  timeoutMs: number;
}

/**
 * Opens one connection and logs in.
 *
 * @param sockets holds the connection's socket until that is closed
 * @throws JwtctlError (unavailable; usage where the credentials cannot be read; not_found for the database): while
 * connecting, whatever goes wrong is the other side's answer or a setting's fault
 */
export async function dialMysql(
  options: MysqlOptions,
  server: MysqlServer,
  sockets: Set<Socket>,
): Promise<Connection> {
  const { credentials = async () => ({}) } = options;
  const isRefusal = (error: unknown) =>
    error instanceof JwtctlError && ['ERR_MYSQL_AUTH', 'ERR_MYSQL_TLS'].includes(error.code);
  return dialWith(credentials, (fresh) => logIn(options, fresh, server, sockets), isRefusal);
}

function logIn(
  { timeoutMs }: MysqlOptions,
  { password, tls }: Credentials,
  server: MysqlServer,
  sockets: Set<Socket>,
): Promise<Connection> {
  const { url } = server;
  const host = hostOf(url);
  const socket = connect({
    host,
    port: Number(url.port || 3306),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 5000,
  });
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
        // For mysql2 to encrypt, and to say so to the plugins that send a password in the clear over TLS alone.
        ...(tls === undefined
          ? {}
          : { ssl: { ...tls, rejectUnauthorized: true, verifyIdentity: isIP(host) === 0 } }),
        connectTimeout: timeoutMs,
      });
      // An error that nobody listens for would end the process. A query hears of it by itself.
      connection.on('error', () => {});
      if (tls !== undefined) identity = checkIdentity(connection, host);
      connection.connect((error) => {
        if (error) refuse(error);
        else if (tls !== undefined && !identity.isChecked)
          refuse(new Error('mysql2 has started TLS in another way.'));
        else resolve(connection);
      });
    } catch (error) {
      refuse(error as Error);
    }
  });
}

function connectionOptions(url: URL, password = decodeURIComponent(url.password)): ConnectionOptions {
  return {
    host: hostOf(url),
    port: Number(url.port || 3306),
    user: decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    ...(password === '' ? {} : { password }),
    charset: 'utf8mb4',
    // A server could otherwise ask for any file in the middle of a query (LOAD DATA LOCAL).
    flags: ['-LOCAL_FILES'],
    // VARBINARY comes as a Buffer otherwise. All our binary columns hold UTF-8, and an adopter's user column is compared as such.
    typeCast: (field, next) =>
      field.type === 'VAR_STRING' || field.type === 'STRING' ? field.string('utf8') : next(),
  };
}

/** Not in mysql2's types. It calls back once the chain is verified, and logs in after that. */
interface StartsTls {
  startTLS(onSecure: (error?: Error) => void): void;
  stream: TLSSocket;
}

/**
 * Checks the certificate's name before the login. For an IP address mysql2 (3.24.6) tells Node no name at all, so that
 * the certificate would have to be for `localhost`. It also gives every failure of TLS one and the same code.
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
