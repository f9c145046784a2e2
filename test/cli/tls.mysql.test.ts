import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type CertificateAuthority,
  type CertificateFiles,
  makeCertificateAuthority,
  replaceCertificate,
} from '../support/certificates.js';
import { cli, temporaryFolder } from '../support/cli.js';
import { openForwardingProxy } from '../support/forwarding-proxy.js';
import { resolveNames } from '../support/names.js';
import { startMysql } from '../support/servers.js';

const DAY_MS = 86_400_000;
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

interface Way {
  host?: string;
  port?: number;
  user?: string;
  tls?: Partial<Record<'ENABLED' | 'CA' | 'CERT' | 'KEY', string>>;
}

function environment({ host = '127.0.0.1', port = server.port, user, tls = { CA: ca.file } }: Way) {
  const url = new URL(server.url);
  url.pathname = '/tls';
  url.host = `${host}:${port}`;
  if (user !== undefined) url.username = user;
  const env: Record<string, string> = {
    JWTCTL_MYSQL_URL: url.href,
    JWTCTL_REDIS_NODES: '127.0.0.1:1',
    JWTCTL_TIMEOUT: '3s',
  };
  for (const [name, value] of Object.entries(tls)) env[`JWTCTL_MYSQL_TLS_${name}`] = value;
  return env;
}

async function connect(way: Way = {}) {
  const env = environment(way);
  const { exitCode, stdout, stderr } = await cli({ env }).run('db', 'status', '--json');
  if (stdout !== '') return { exitCode, code: null, text: '' };
  const { code, message, hint } = JSON.parse(stderr).error;
  return { exitCode, code, text: `${message} ${hint}` };
}

const isAccepted = { exitCode: 0, code: null };
const isRefused = (text: RegExp) => ({
  exitCode: 4,
  code: 'ERR_MYSQL_TLS',
  text: expect.stringMatching(text),
});

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
  test('for an IPv4 address is accepted only for that address', async () => {
    await present(ca.issue({ names: 'IP:127.0.0.1' }));
    expect(await connect()).toMatchObject(isAccepted);
    expect(await connect({ host: 'localhost' })).toMatchObject(
      isRefused(/for 127\.0\.0\.1, not for localhost/),
    );
  });

  test('for localhost is refused for an IP address', async () => {
    await present(ca.issue({ names: 'DNS:localhost' }));
    expect(await connect()).toMatchObject(isRefused(/for localhost, not for 127\.0\.0\.1.*mysql\.url/));
    expect(await connect({ host: 'localhost' })).toMatchObject(isAccepted);
  });

  test('that has an IP address only as a host name is refused with that reason', async () => {
    await present(ca.issue({ names: 'DNS:127.0.0.1' }));
    expect(await connect()).toMatchObject(isRefused(/has 127\.0\.0\.1 as a host name, not as an IP address/));
  });

  test('for clients only is refused with that reason', async () => {
    await present(ca.issue({ names: 'IP:127.0.0.1\nextendedKeyUsage = clientAuth' }));
    expect(await connect()).toMatchObject(isRefused(/not a server certificate/));
  });

  test('is not blamed if the server ends the handshake', async () => {
    const ended = await endHandshakes();
    const { port } = ended.address() as AddressInfo;
    expect(await connect({ port })).toMatchObject({ exitCode: 4, code: 'ERR_MYSQL_UNREACHABLE' });
    ended.close();
  });

  test('for an IPv6 address is accepted only for that address', async () => {
    const proxy = await openForwardingProxy('::1', server);
    try {
      const reached = { host: '[::1]', port: proxy.port };
      await present(ca.issue({ names: 'IP:::1' }));
      expect(await connect(reached)).toMatchObject(isAccepted);
      expect(await connect()).toMatchObject(isRefused(/not for 127\.0\.0\.1/));
      await present(ca.issue({ names: 'DNS:localhost, IP:127.0.0.1' }));
      expect(await connect(reached)).toMatchObject(isRefused(/for localhost, 127\.0\.0\.1, not for ::1/));
    } finally {
      await proxy.close();
    }
  });

  test('with a wildcard is accepted for one label', async () => {
    const restore = resolveNames('.example.test', '127.0.0.1');
    try {
      await present(ca.issue({ names: 'DNS:*.example.test' }));
      expect(await connect({ host: 'db.example.test' })).toMatchObject(isAccepted);
      for (const host of ['a.db.example.test', '127.0.0.1']) {
        expect(await connect({ host })).toMatchObject(isRefused(/for \*\.example\.test, not for/));
      }
    } finally {
      restore();
    }
  });

  test('that has expired or is not valid yet is refused with that reason', async () => {
    const names = 'IP:127.0.0.1';
    const [past, future] = [new Date(Date.now() - DAY_MS), new Date(Date.now() + DAY_MS)];
    await present(ca.issue({ names, from: new Date(past.getTime() - DAY_MS), until: past }));
    expect(await connect()).toMatchObject(isRefused(/has expired/));
    await present(ca.issue({ names, from: future, until: new Date(future.getTime() + DAY_MS) }));
    expect(await connect()).toMatchObject(isRefused(/is not valid yet/));
  });

  test('from another CA is refused with that reason', async () => {
    await present(ca.issue({ names: 'IP:127.0.0.1' }));
    const untrusted = isRefused(/not issued by a trusted CA.*mysql\.tls\.ca/);
    expect(await connect({ tls: { CA: otherCa.file } })).toMatchObject(untrusted);
    expect(await connect({ tls: { ENABLED: 'true' } })).toMatchObject(untrusted);
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

  const clientOf = (authority: CertificateAuthority, dates: { from?: Date; until?: Date } = {}) => {
    const { cert, key } = authority.issue(dates);
    return { CA: ca.file, CERT: cert, KEY: key };
  };

  test('is sent, and a missing one is refused if the account requires it', async () => {
    expect(await connect({ user: 'strict', tls: clientOf(ca) })).toMatchObject(isAccepted);
    expect(await connect({ user: 'strict' })).toMatchObject({
      ...{ exitCode: 4, code: 'ERR_MYSQL_AUTH' },
      text: expect.stringContaining('mysql.tls.cert'),
    });
  });

  test('from another CA, or expired, is refused with that reason', async () => {
    expect(await connect({ tls: clientOf(otherCa) })).toMatchObject(
      isRefused(/client certificate.*mysql\.tls\.cert/),
    );
    const past = { from: new Date(Date.now() - 2 * DAY_MS), until: new Date(Date.now() - DAY_MS) };
    expect(await connect({ tls: clientOf(ca, past) })).toMatchObject(
      isRefused(/client certificate.*expired/),
    );
  });

  test('that cannot be used is a configuration error', async () => {
    const { CERT, KEY } = clientOf(ca);
    const noPem = join(temporaryFolder(), 'none.pem');
    writeFileSync(noPem, 'no PEM\n');
    for (const [changes, named] of [
      [{ KEY: clientOf(ca).KEY }, /does not match.*mysql\.tls\.cert/],
      [{ CA: noPem }, /\(mysql\.tls\.ca\) contains no PEM certificate/],
      [{ CERT: noPem }, /\(mysql\.tls\.cert\) contains no PEM certificate/],
      [{ KEY: noPem }, /\(mysql\.tls\.key\) contains no PEM private key/],
    ] as const) {
      expect(await connect({ tls: { CA: ca.file, CERT, KEY, ...changes } })).toMatchObject({
        ...{ exitCode: 2, code: 'ERR_TLS_FILE_INVALID' },
        text: expect.stringMatching(named),
      });
    }
  });
});
