import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli } from '../support/cli.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { openStores, type Stores } from '../support/stores.js';

let stores: Stores;
let away: ReturnType<typeof cli>;

beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  await stores.json('keys', 'generate');
  await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
  const [port] = await closedPorts(1);
  away = cli({ env: { ...stores.env, JWTCTL_REDIS_NODES: `127.0.0.1:${port}`, JWTCTL_TIMEOUT: '1s' } });
});
afterAll(() => stores?.close());

test.each([
  ['users', 'remove', 'alice'],
  ['token', 'revoke', '--sub', 'alice', '--all'],
])('a dry run that cannot count says so and prints no number: %s %s', async (...words) => {
  const { exitCode, stdout } = await away.run(...words, '--dry-run');
  expect({ exitCode, stdout }).toEqual({ exitCode: 4, stdout: '' });
});

test('a dry run without the registry does not claim that something was recorded', async () => {
  const { exitCode, stderr } = await away.run(
    'token',
    'revoke',
    '--issued-before',
    '2026-01-01',
    '--dry-run',
  );
  expect(exitCode).toBe(5);
  expect(stderr).not.toContain('revoked');
});

test('a revocation does not report zero tokens for a subject with newer tokens', async () => {
  const words = ['token', 'revoke', '--sub', 'alice', '--issued-before', '2026-01-01'];
  const { exitCode, stderr } = await stores.run(...words, '--dry-run');
  expect(exitCode).toBe(0);
  expect(stderr).toContain('issued at that time or earlier');
  expect((await stores.json('users', 'remove', 'alice', '--yes')).revoked).toBe(1);
});
