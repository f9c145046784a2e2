import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  translateConnectError,
  translateMysqlError,
} from '../../../../src/adapters/sql/mysql/mysql-errors.js';
import { JwtctlError } from '../../../../src/domain/shared/errors.js';
import { openMysqlWithPassword } from '../../../support/open-mysql.js';
import { mariadb, type SqlDatabaseUnderTest } from '../../../support/sql-engines.js';

const PASSWORD = 'Gr4nd-Secr3t';
const STATEMENT = "insert into users values ('Gr4nd-Secr3t')";
const SERVER = { url: new URL(`mysql://jwtctl:${PASSWORD}@db.example:3307/app`), retryForMs: 5_000 };

/** An error in the form that mysql2 gives to the server's answer. */
function answer(errno: number, code?: string) {
  return Object.assign(new Error(STATEMENT), { errno, code, sql: STATEMENT, sqlMessage: STATEMENT });
}

describe("the server's errors", () => {
  test.each([
    [1021, 'ER_DISK_FULL'],
    [1037, 'ER_OUTOFMEMORY'],
    [1040, 'ER_CON_COUNT_ERROR'],
    [1041, 'ER_OUT_OF_RESOURCES'],
    [1047, 'ER_UNKNOWN_COM_ERROR'],
    [1053, 'ER_SERVER_SHUTDOWN'],
    [1077, 'ER_NORMAL_SHUTDOWN'],
    [1079, 'ER_SHUTDOWN_COMPLETE'],
    [1114, 'ER_RECORD_FILE_FULL'],
    [1135, 'ER_CANT_CREATE_THREAD'],
    [1203, 'ER_TOO_MANY_USER_CONNECTIONS'],
    [1226, 'ER_USER_LIMIT_REACHED'],
    [1317, 'ER_QUERY_INTERRUPTED'],
    [1927, undefined],
    [1969, undefined],
    [3024, 'ER_QUERY_TIMEOUT'],
    [3032, 'ER_SERVER_OFFLINE_MODE'],
    [3168, 'ER_SERVER_ISNT_AVAILABLE'],
    [4031, 'ER_CLIENT_INTERACTION_TIMEOUT'],
  ])('%i %s is reported as unavailable, with its name or number', (errno, code) => {
    const error = translateMysqlError(answer(errno, code), SERVER);
    expect(error).toBeInstanceOf(JwtctlError);
    const { kind, message, hint, details } = error as JwtctlError;
    expect(kind).toBe('unavailable');
    expect(message).toContain('db.example:3307');
    expect(message).toContain(code ?? String(errno));
    expect(hint).toMatch(/\S/);
    expect(details).toEqual({ driverCode: code ?? String(errno) });
    expect([message, hint].join()).not.toContain(PASSWORD);
  });

  test.each([
    [3159, 'ER_SECURE_TRANSPORT_REQUIRED', 'Connections using insecure transport are prohibited'],
    [9002, undefined, 'SSL connection is required. Please specify SSL options and retry.'],
    [1105, 'ER_UNKNOWN_ERROR', 'server does not allow insecure connections, client must use SSL/TLS'],
    [1105, 'ER_UNKNOWN_ERROR', 'unauthenticated: secure connection is required'],
  ])('%i %s says that TLS is required: %s', (errno, code, words) => {
    const error = Object.assign(new Error(words), { errno, code });
    const plain = translateConnectError(error, SERVER, { tls: undefined, isSecure: false });
    expect([plain.code, plain.hint]).toEqual(['ERR_MYSQL_TLS', expect.stringContaining('mysql.tls.enabled')]);
    const secure = translateConnectError(error, SERVER, { tls: {}, isSecure: true });
    expect(secure.hint).not.toContain('mysql.tls.enabled');
  });

  test.each([
    [1045, 'ER_ACCESS_DENIED_ERROR', "Access denied for user 'tls-app'@'10.0.0.1' (using password: YES)"],
    [1130, 'ER_HOST_NOT_PRIVILEGED', "Host 'ssl-proxy' is not allowed to connect to this MySQL server"],
  ])('%i %s does not, whatever its user or host is called', (errno, code, words) => {
    const error = Object.assign(new Error(words), { errno, code });
    const refused = translateConnectError(error, SERVER, { tls: undefined, isSecure: false });
    expect(refused.code).toBe('ERR_MYSQL_AUTH');
  });

  test('9002 of ProxySQL, without a server, does not', () => {
    const error = Object.assign(new Error('Max connect failure while reaching hostgroup 0'), { errno: 9002 });
    const { code } = translateConnectError(error, SERVER, { tls: undefined, isSecure: false });
    expect(code).toBe('ERR_MYSQL_UNREACHABLE');
  });

  // Some of MariaDB's numbers have another meaning in MySQL.
  test.each([
    { errno: 1524, code: 'ER_PLUGIN_IS_NOT_LOADED' },
    { errno: 1820, code: 'ER_MUST_CHANGE_PASSWORD' },
    { errno: 3955, code: 'ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK' },
    {
      errno: 4150,
      code: 'ER_BULK_PARSER_UNEXPECTED_CHAR_AFTER_COLUMN_TERMINATOR',
      name: 'ER_USER_IS_BLOCKED',
    },
    { errno: 4151, code: 'ER_BULK_PARSER_INCOMPLETE_ESCAPE_SEQUENCE', name: 'ER_ACCOUNT_HAS_BEEN_LOCKED' },
  ])('$errno $code is reported as a refused login', ({ errno, code, name }) => {
    expect(translateMysqlError(answer(errno, code), SERVER)).toMatchObject({
      kind: 'unavailable',
      code: 'ERR_MYSQL_AUTH',
      details: { driverCode: name ?? code },
    });
  });

  test.each([
    [1064, 'ER_PARSE_ERROR'],
    [1406, 'ER_DATA_TOO_LONG'],
    [1048, 'ER_BAD_NULL_ERROR'],
    [1305, 'ER_SP_DOES_NOT_EXIST'],
    [1366, 'ER_TRUNCATED_WRONG_VALUE_FOR_FIELD'],
    [9999, undefined],
  ])('%i %s stays a defect', (errno, code) => {
    const error = answer(errno, code);
    expect(translateMysqlError(error, SERVER)).toBe(error);
  });

  test('for a connection that the driver closed are not reported as a bug', () => {
    const closed = Object.assign(new Error("Can't add new command when connection is in closed state"), {
      fatal: true,
    });
    expect(translateMysqlError(closed, SERVER)).toMatchObject({
      kind: 'unavailable',
      code: 'ERR_MYSQL_UNREACHABLE',
    });
  });
});

describe('while connecting', () => {
  /** Acts like a proxy without servers or a full server: it sends an error instead of a greeting. */
  async function connectTo(greeting: Buffer): Promise<unknown> {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(greeting);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client = openMysqlWithPassword(`mysql://jwtctl:${PASSWORD}@127.0.0.1:${port}/app`, 2_000);
    try {
      return await sql`select 1`.execute(client.db).catch((error: unknown) => error);
    } finally {
      await client.close();
      server.close();
    }
  }

  test.each([9002, 9001, 1105, 1043, 1158, 2013, 1062, 1146, 1205, 54321])(
    '%i is reported as an answer of the server, not as a bug',
    async (errno) => {
      const error = await connectTo(errorPacket(errno));
      expect(error).toMatchObject({ name: 'JwtctlError', kind: 'unavailable', code: expect.any(String) });
      const { message, hint, details } = error as JwtctlError;
      expect(message).toMatch(/^MySQL at 127\.0\.0\.1:\d+ /);
      expect(hint).toContain('mysql.url');
      expect(details.driverCode).toMatch(errno > 4000 ? String(errno) : /^(ER_|2013)/);
      expect([message, hint].join()).not.toContain('gibberish');
    },
  );

  test.each([
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['nothing', ''],
    ['a greeting in another protocol', '\x05\0\0\0\x08abcd'],
  ])('%s instead of a greeting is not reported as a bug', async (_, text) => {
    const error = await connectTo(Buffer.from(text, 'latin1'));
    expect(error).toMatchObject({ name: 'JwtctlError', kind: 'unavailable' });
  });
});

/** An ERR packet (https://mariadb.com/kb/en/err_packet/). */
function errorPacket(errno: number): Buffer {
  const number = Buffer.alloc(2);
  number.writeUInt16LE(errno);
  const body = Buffer.concat([Buffer.from([0xff]), number, Buffer.from('#08S01gibberish')]);
  return Buffer.concat([Buffer.from([body.length, 0, 0, 0]), body]);
}

describe('A server', () => {
  let opened: SqlDatabaseUnderTest;
  beforeAll(async () => {
    opened = await mariadb.create();
  });
  afterAll(() => opened.close());

  test('does not let the server read files of this host', async () => {
    const load = sql`load data local infile '/etc/hostname' into table users`.execute(opened.db);
    const { errno } = (await load.catch((error: unknown) => error)) as { errno?: number };
    // The errors of MariaDB and MySQL for a client without the capability. From other clients, the server would request the file.
    expect([1148, 3948, 4166]).toContain(errno);
  });

  test('that stops a statement at a time limit is reported as unavailable', async () => {
    // MariaDB runs the first comment, MySQL the second. Some functions end early without an error.
    const slow = sql`
      /*M! set statement max_statement_time = 0.05 for */
      select /*+ max_execution_time(50) */ count(*) from
        information_schema.collations a, information_schema.collations b, information_schema.collations c`;
    await expect(slow.execute(opened.db)).rejects.toMatchObject({
      kind: 'unavailable',
      details: { driverCode: expect.stringMatching(/^(1969|ER_QUERY_TIMEOUT)$/) },
    });
  });
});
