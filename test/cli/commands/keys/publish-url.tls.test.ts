import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type CertificateAuthority, makeCertificateAuthority } from '../../../support/certificates.js';
import { cli, temporaryFolder } from '../../../support/cli.js';
import { openStores, type Stores } from '../../../support/stores.js';

const DUE = 30 * 86_400;

let ca: CertificateAuthority;
let server: Server;
let stores: Stores;
let url: string;
let published: string;

beforeAll(async () => {
  ca = makeCertificateAuthority('jwtctl test CA');
  const { cert, key } = ca.issue({ names: 'IP:127.0.0.1' });
  server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_request, response) => {
    response.end(published);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  stores = await openStores('SQLite', { JWTCTL_KEYS_PUBLISH_URL: url });
  await stores.json('keys', 'generate');
  await stores.json('keys', 'rotate');
  published = JSON.stringify(await stores.json('keys', 'export', '--jwks'));
  stores.clock.advance(DUE);
});
afterAll(async () => {
  server?.close();
  await stores?.close();
});

const rotate = (...flags: string[]) => stores.run('keys', 'rotate', '--json', '--dry-run', ...flags);
const withoutCheck = async <T>(work: () => Promise<T>) => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  try {
    return await work();
  } finally {
    vi.unstubAllEnvs();
  }
};

test('a certificate of an unknown CA is refused, also with NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
  for (const { exitCode, error } of [await rotate(), await withoutCheck(() => rotate())]) {
    expect([exitCode, error().code]).toEqual([4, 'ERR_PUBLISH_URL_UNREACHABLE']);
    expect(error().hint).toContain('keys.publishCa');
  }
});

test('keys.publishCa names the CA to trust', async () => {
  const { exitCode, json } = await rotate('--keys-publish-ca', ca.file);
  expect([exitCode, json()]).toMatchObject([0, { wouldRotate: true }]);
  const { file: other } = makeCertificateAuthority('another CA');
  expect((await rotate('--keys-publish-ca', other)).exitCode).toBe(4);
});

test('a CA file without a certificate is a configuration error', async () => {
  const file = join(temporaryFolder(), 'none.pem');
  writeFileSync(file, 'no PEM\n');
  const { exitCode, error } = await rotate('--keys-publish-ca', file);
  expect([exitCode, error().code]).toEqual([2, 'ERR_TLS_FILE_INVALID']);
  expect(error().message).toContain('(keys.publishCa) contains no PEM certificate');
  const validated = await stores.run('config', 'validate', '--json', '--keys-publish-ca', file);
  expect(validated.exitCode).toBe(2);
});

test('a CA without an https URL is a configuration error', async () => {
  const http = ['--keys-publish-url', 'http://127.0.0.1:1/jwks.json'];
  const { exitCode, error } = await rotate('--keys-publish-ca', ca.file, ...http);
  expect([exitCode, error().code]).toEqual([2, 'ERR_CONFIG_VALUE_INVALID']);
  const alone = await cli().run('keys', 'list', '--json', '--keys-publish-ca', ca.file);
  expect([alone.exitCode, alone.error().code]).toEqual([2, 'ERR_CONFIG_INCOMPLETE']);
});
