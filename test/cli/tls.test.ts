import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli, temporaryFolder } from '../support/cli.js';
import { mysqlCa, startRedis } from '../support/servers.js';
import { spawnProgram } from '../support/spawned.js';
import { openStores, type Stores } from '../support/stores.js';

let stores: Stores;
let wrongCa = '';
beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  wrongCa = await makeCa();
});
afterAll(() => stores?.close());

async function outcomeOf(changes: Record<string, string>, ...words: string[]) {
  const { home, clock, env } = stores;
  const shell = cli({ home, clock, env: { ...env, ...changes } });
  const { exitCode, stdout, stderr } = await shell.run(...words, '--json');
  return { exitCode, code: stdout === '' ? JSON.parse(stderr).error.code : null };
}

// The CA of a server started before the run is not known. The test report names what is skipped.
describe.skipIf(mysqlCa() === null)('MySQL over TLS', () => {
  const ca = String(mysqlCa());

  test('is used with the CA of its certificate', async () => {
    expect(await outcomeOf({ JWTCTL_MYSQL_TLS_CA: ca }, 'keys', 'list')).toEqual({ exitCode: 0, code: null });
  });

  test('is refused with another CA, and without one', async () => {
    const refused = { exitCode: 4, code: 'ERR_MYSQL_TLS' };
    expect(await outcomeOf({ JWTCTL_MYSQL_TLS_CA: wrongCa }, 'keys', 'list')).toEqual(refused);
    expect(await outcomeOf({ JWTCTL_MYSQL_TLS_ENABLED: 'true' }, 'keys', 'list')).toEqual(refused);
  });

  test('a missing CA file is a configuration error', async () => {
    const missing = await outcomeOf({ JWTCTL_MYSQL_TLS_CA: '/no/such/ca.pem' }, 'keys', 'list');
    expect(missing).toEqual({ exitCode: 2, code: 'ERR_CONFIG_FILE_MISSING' });
  });
});

test('Redis over TLS is used with its CA and a client certificate, and refused otherwise', async () => {
  const server = await startRedis({ tls: 'clients-authenticate' });
  const redis = { JWTCTL_REDIS_NODES: server.node, JWTCTL_REDIS_MODE: 'standalone', JWTCTL_TIMEOUT: '2s' };
  const { ca = '', cert = '', key = '' } = server.tls ?? {};
  const client = { JWTCTL_REDIS_TLS_CERT: cert, JWTCTL_REDIS_TLS_KEY: key };
  const inspect = ['cache', 'inspect'];
  try {
    expect(await outcomeOf({ ...redis, ...client, JWTCTL_REDIS_TLS_CA: ca }, ...inspect)).toMatchObject({
      exitCode: 0,
    });
    for (const changes of [
      { ...client, JWTCTL_REDIS_TLS_CA: wrongCa },
      client,
      { JWTCTL_REDIS_TLS_CA: ca },
      { JWTCTL_REDIS_TLS_ENABLED: 'false' },
    ]) {
      expect(await outcomeOf({ ...redis, ...changes }, ...inspect)).toMatchObject({ exitCode: 4 });
    }
    const withoutKey = await outcomeOf({ ...redis, JWTCTL_REDIS_TLS_CERT: cert }, ...inspect);
    expect(withoutKey).toMatchObject({ exitCode: 2 });
  } finally {
    await server.stop();
  }
});

async function makeCa(): Promise<string> {
  const folder = temporaryFolder();
  const file = join(folder, 'ca.pem');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const files = ['-keyout', join(folder, 'ca.key'), '-out', file];
  const words = ['req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=somebody else', ...files];
  const { exitCode, stderr } = await spawnProgram('openssl', words, {
    env: { PATH: String(process.env.PATH) },
  });
  if (exitCode !== 0) throw new Error(stderr);
  return file;
}
