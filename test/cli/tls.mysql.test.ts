import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTo, createServer, type Server } from 'node:net';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type CertificateAuthority,
  type CertificateFiles,
  makeCertificateAuthority,
  replaceCertificate,
} from '../support/certificates.js';
import { cli } from '../support/cli.js';
import { startMysql } from '../support/servers.js';
import {
  clientFiles,
  isAccepted,
  isRefused,
  outcomeOf,
  type TlsStore,
  testClientCertificate,
  testServerCertificate,
  tlsVariables,
  type Way,
} from '../support/tls.js';

let server: Awaited<ReturnType<typeof startMysql>>;
let ca: CertificateAuthority;
let otherCa: CertificateAuthority;
beforeAll(async () => {
  server = await startMysql();
  ca = makeCertificateAuthority('jwtctl test CA');
  otherCa = makeCertificateAuthority('somebody else');
  writeFileSync(server.tls.ca, readFileSync(ca.file));
  await administer('CREATE DATABASE tls');
  await cli({ env: environment({ tls: {} }) }).json('db', 'migrate');
});
afterAll(() => server?.stop());

async function administer(...statements: string[]): Promise<void> {
  const connection = await createConnection(server.url);
  try {
    for (const statement of statements) await connection.query(statement);
  } finally {
    await connection.end();
  }
}

/** MariaDB runs the first comment, MySQL the second. */
async function present(files: CertificateFiles): Promise<void> {
  replaceCertificate(server.tls, files);
  await administer('/*M! FLUSH SSL */ /*!80016 ALTER INSTANCE RELOAD TLS */');
}

function environment({ host = '127.0.0.1', port = server.port, user, tls = { CA: ca.file } }: Way) {
  const url = new URL(server.url);
  url.pathname = '/tls';
  url.host = `${host}:${port}`;
  if (user !== undefined) url.username = user;
  return {
    JWTCTL_MYSQL_URL: url.href,
    JWTCTL_REDIS_NODES: '127.0.0.1:1',
    JWTCTL_TIMEOUT: '3s',
    ...tlsVariables('mysql', tls),
  };
}

const mysql: TlsStore = {
  ...{ name: 'mysql', address: 'mysql.url', present },
  started: () => ({ server, ca, otherCa }),
  connect: (way = {}) => outcomeOf(environment(way), 'db', 'status'),
  connectAsClient: (tls) => mysql.connect({ tls }),
};
const { connect } = mysql;

/** Forwards the server's greeting, and closes once the client requests TLS. */
async function endHandshakes(): Promise<Server> {
  const front = createServer((client) => {
    const behind = connectTo(server.port, server.host);
    behind.on('error', () => {}).pipe(client);
    client
      .on('error', () => {})
      .once('data', () => {
        behind.destroy();
        client.end();
      });
  });
  await once(front.listen(0, '127.0.0.1'), 'listening');
  return front;
}

describe('the certificate of a MySQL server', () => {
  testServerCertificate(mysql);

  test('that has an IP address only as a host name is refused with that reason', async () => {
    await present(ca.issue({ names: 'DNS:127.0.0.1' }));
    expect(await connect()).toMatchObject(
      isRefused(mysql, /has 127\.0\.0\.1 as a host name, not as an IP address/),
    );
  });

  test('for clients only is refused with that reason', async () => {
    await present(ca.issue({ names: 'IP:127.0.0.1\nextendedKeyUsage = clientAuth' }));
    expect(await connect()).toMatchObject(isRefused(mysql, /not a server certificate/));
  });

  test('is not blamed if the server ends the handshake', async () => {
    const ended = await endHandshakes();
    const { port } = ended.address() as AddressInfo;
    expect(await connect({ port })).toMatchObject({ exitCode: 4, code: 'ERR_MYSQL_UNREACHABLE' });
    ended.close();
  });
});

describe('TLS that only one side wants', () => {
  beforeAll(async () => {
    await present(ca.issue({ names: 'IP:127.0.0.1' }));
    const { password } = new URL(server.url);
    await administer(
      `CREATE USER secure@'%' IDENTIFIED BY '${password}' REQUIRE SSL`,
      `GRANT ALL ON tls.* TO secure@'%'`,
    );
  });

  test('is named with the setting, if the server or the account requires it', async () => {
    await administer('SET GLOBAL require_secure_transport = ON');
    try {
      // MariaDB does not say why it refuses the login.
      expect(await connect({ tls: {} })).toMatchObject({
        ...{ exitCode: 4, code: expect.stringMatching(/^ERR_MYSQL_(TLS|AUTH)$/) },
        text: expect.stringContaining('mysql.tls.enabled'),
      });
    } finally {
      const connection = await createConnection({
        uri: server.url,
        ssl: { ca: readFileSync(ca.file, 'utf8') },
      });
      await connection.query('SET GLOBAL require_secure_transport = OFF');
      await connection.end();
    }
    expect(await connect({ user: 'secure', tls: {} })).toMatchObject({
      ...{ exitCode: 4, code: 'ERR_MYSQL_AUTH' },
      text: expect.stringContaining('If the account requires TLS, set `mysql.tls.enabled`.'),
    });
    expect(await connect({ user: 'secure' })).toMatchObject(isAccepted);
  });
});

describe('the client certificate for MySQL', () => {
  beforeAll(async () => {
    await present(ca.issue({ names: 'IP:127.0.0.1' }));
    const { password } = new URL(server.url);
    await administer(
      `CREATE USER strict@'%' IDENTIFIED BY '${password}' REQUIRE X509`,
      `GRANT ALL ON tls.* TO strict@'%'`,
    );
  });

  test('is sent, and a missing one is refused if the account requires it', async () => {
    expect(await connect({ user: 'strict', tls: clientFiles(ca, ca) })).toMatchObject(isAccepted);
    expect(await connect({ user: 'strict' })).toMatchObject({
      ...{ exitCode: 4, code: 'ERR_MYSQL_AUTH' },
      text: expect.stringContaining('mysql.tls.cert'),
    });
  });

  testClientCertificate(mysql);
});
