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
import { temporaryFolder } from '../support/cli.js';
import { startRedis } from '../support/servers.js';
import { openStores, type Stores } from '../support/stores.js';
import {
  clientFiles,
  isAccepted,
  isRefused,
  outcomeOf,
  type TlsStore,
  testClientCertificate,
  testServerCertificate,
  tlsVariables,
} from '../support/tls.js';

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

const redis: TlsStore = {
  ...{ name: 'redis', address: 'redis.nodes', present },
  started: () => ({ server, ca, otherCa }),
  connect: ({ host = '127.0.0.1', port = server.port, tls = { CA: ca.file } } = {}) => {
    const nodes = { JWTCTL_REDIS_NODES: `${host}:${port}`, JWTCTL_REDIS_MODE: 'standalone' };
    const env = { ...stores.env, ...nodes, JWTCTL_TIMEOUT: '3s', ...tlsVariables('redis', tls) };
    return outcomeOf(env, 'cache', 'inspect');
  },
  connectAsClient: (tls) => redis.connect({ port: strict.port, tls }),
};

describe('the certificate of a Redis server', () => testServerCertificate(redis));

describe('a server that expects the other of TLS and plain text', () => {
  test.each(['standalone', 'cluster'])('is named with the setting to change, in mode %s', async (mode) => {
    const plain = await startRedis({});
    try {
      const reach = ({ node }: { node: string }, tls: Record<string, string>) => {
        const env = {
          ...stores.env,
          JWTCTL_REDIS_NODES: node,
          JWTCTL_REDIS_MODE: mode,
          JWTCTL_TIMEOUT: '3s',
        };
        return outcomeOf({ ...env, ...tls }, 'cache', 'inspect');
      };
      expect(await reach(server, {})).toMatchObject(
        isRefused(redis, /accepts only connections with TLS\. .*redis\.tls\.enabled/),
      );
      expect(await reach(plain, tlsVariables('redis', { CA: ca.file }))).toMatchObject(
        isRefused(redis, /does not use TLS\. .*remove the redis\.tls settings/),
      );
    } finally {
      await plain.stop();
    }
  });
});

describe('the client certificate for Redis', () => {
  beforeAll(() => present(ca.issue({ names: 'IP:127.0.0.1' }), strict));

  test('is sent, and a missing one is refused if the server requires it', async () => {
    expect(await redis.connectAsClient(clientFiles(ca, ca))).toMatchObject(isAccepted);
    expect(await redis.connectAsClient({ CA: ca.file })).toMatchObject(
      isRefused(redis, /client certificate.*redis\.tls\.cert/),
    );
  });

  testClientCertificate(redis);
});
