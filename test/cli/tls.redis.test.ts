import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
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
import { startRedis } from '../support/servers.js';
import { openStores, type Stores } from '../support/stores.js';

const DAY_MS = 86_400_000;
type Server = Awaited<ReturnType<typeof startServer>>;
let stores: Stores;
let server: Server;
let strict: Server;
let ca: CertificateAuthority;
let otherCa: CertificateAuthority;
beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  ca = makeCertificateAuthority('jwtctl test CA');
  otherCa = makeCertificateAuthority('somebody else');
  [server, strict] = await Promise.all([startServer('on'), startServer('clients-authenticate')]);
});
afterAll(async () => {
  await Promise.all([stores?.close(), server?.stop(), strict?.stop()]);
});

/** Its Unix socket does not use TLS, so even a bad certificate can be replaced. */
async function startServer(tls: 'on' | 'clients-authenticate') {
  const socket = join(temporaryFolder(), 'redis.sock');
  return { ...(await startRedis({ tls, config: [`unixsocket ${socket}`] })), socket };
}

/** Redis reads the files again when a setting names them, even if the names are the same. */
async function present(files: CertificateFiles, { tls, socket } = server): Promise<void> {
  if (tls === null) throw new Error('This server does not speak TLS.');
  replaceCertificate(tls, files);
  writeFileSync(tls.ca, readFileSync(ca.file));
  const client = new Redis({ path: socket });
  const named = ['tls-cert-file', tls.cert, 'tls-key-file', tls.key, 'tls-ca-cert-file', tls.ca];
  await client.call('CONFIG', 'SET', ...named);
  client.disconnect();
}

interface Way {
  host?: string;
  port?: number;
  tls?: Partial<Record<'ENABLED' | 'CA' | 'CERT' | 'KEY', string>>;
}

async function connect({ host = '127.0.0.1', port = server.port, tls = { CA: ca.file } }: Way = {}) {
  const env: Record<string, string> = {
    ...stores.env,
    ...{ JWTCTL_REDIS_NODES: `${host}:${port}`, JWTCTL_REDIS_MODE: 'standalone', JWTCTL_TIMEOUT: '3s' },
  };
  for (const [name, value] of Object.entries(tls)) env[`JWTCTL_REDIS_TLS_${name}`] = value;
  const { exitCode, stdout, stderr } = await cli({ env }).run('cache', 'inspect', '--json');
  if (stdout !== '') return { exitCode, code: null, text: '' };
  const { code, message, hint } = JSON.parse(stderr).error;
  return { exitCode, code, text: `${message} ${hint}` };
}

const isAccepted = { exitCode: 0, code: null };
const isRefused = (text: RegExp) => ({
  exitCode: 4,
  code: 'ERR_REDIS_TLS',
  text: expect.stringMatching(text),
});

describe('the certificate of a Redis server', () => {
  test('for an IPv4 address is accepted only for that address', async () => {
    await present(ca.issue({ names: 'IP:127.0.0.1' }));
    expect(await connect()).toMatchObject(isAccepted);
    expect(await connect({ host: 'localhost' })).toMatchObject(
      isRefused(/for 127\.0\.0\.1, not for localhost/),
    );
  });

  test('for localhost is refused for an IP address', async () => {
    await present(ca.issue({ names: 'DNS:localhost' }));
    expect(await connect()).toMatchObject(isRefused(/for localhost, not for 127\.0\.0\.1.*redis\.nodes/));
    expect(await connect({ host: 'localhost' })).toMatchObject(isAccepted);
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
      expect(await connect({ host: 'redis.example.test' })).toMatchObject(isAccepted);
      for (const host of ['a.redis.example.test', '127.0.0.1']) {
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
    const untrusted = isRefused(/not issued by a trusted CA.*redis\.tls\.ca/);
    expect(await connect({ tls: { CA: otherCa.file } })).toMatchObject(untrusted);
    expect(await connect({ tls: { ENABLED: 'true' } })).toMatchObject(untrusted);
  });
});

describe('the client certificate for Redis', () => {
  beforeAll(() => present(ca.issue({ names: 'IP:127.0.0.1' }), strict));

  const clientOf = (authority: CertificateAuthority, dates: { from?: Date; until?: Date } = {}) => {
    const { cert, key } = authority.issue(dates);
    return { CA: ca.file, CERT: cert, KEY: key };
  };
  const connectTo = (tls: Way['tls'] & object) => connect({ port: strict.port, tls });

  test('is sent, and a missing one is refused if the server requires it', async () => {
    expect(await connectTo(clientOf(ca))).toMatchObject(isAccepted);
    expect(await connectTo({ CA: ca.file })).toMatchObject(isRefused(/client certificate.*redis\.tls\.cert/));
  });

  test('from another CA, or expired, is refused with that reason', async () => {
    expect(await connectTo(clientOf(otherCa))).toMatchObject(
      isRefused(/client certificate.*redis\.tls\.cert/),
    );
    const past = { from: new Date(Date.now() - 2 * DAY_MS), until: new Date(Date.now() - DAY_MS) };
    expect(await connectTo(clientOf(ca, past))).toMatchObject(isRefused(/client certificate.*expired/));
  });

  test('that cannot be used is a configuration error', async () => {
    const { CERT, KEY } = clientOf(ca);
    const noPem = join(temporaryFolder(), 'none.pem');
    writeFileSync(noPem, 'no PEM\n');
    for (const [changes, named] of [
      [{ KEY: clientOf(ca).KEY }, /does not match.*redis\.tls\.cert/],
      [{ CA: noPem }, /\(redis\.tls\.ca\) contains no PEM certificate/],
      [{ CERT: noPem }, /\(redis\.tls\.cert\) contains no PEM certificate/],
      [{ KEY: noPem }, /\(redis\.tls\.key\) contains no PEM private key/],
    ] as const) {
      expect(await connectTo({ CA: ca.file, CERT, KEY, ...changes })).toMatchObject({
        ...{ exitCode: 2, code: 'ERR_TLS_FILE_INVALID' },
        text: expect.stringMatching(named),
      });
    }
  });
});
