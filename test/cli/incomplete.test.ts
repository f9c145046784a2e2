import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cli, cli } from '../support/cli.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { openStores, type Stores } from '../support/stores.js';

let stores: Stores;
let withMasterAway: Cli;

beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TIMEOUT: '1s' });
  await stores.json('keys', 'generate', '--kid', 'k1');
  for (const sub of ['alice', 'bob', 'carol', 'dave', 'erin', 'frank']) {
    await stores.json('token', 'issue', '--sub', sub, '--create-user');
  }
  const { clock, home, env } = stores;
  const [master] = (await stores.redis?.keys())?.keys() ?? [];
  const [port] = await closedPorts(1);
  withMasterAway = cli({
    ...{ clock, home, env: { ...env, JWTCTL_REDIS_NAT_MAP: `${master}=127.0.0.1:${port}` } },
  });
});
afterAll(() => stores?.close());

test.each([
  { words: ['keys', 'usage'], message: /^Not read: slots .*\)\.$/m },
  { words: ['cache', 'inspect'], message: /^Not read: slots .*\)\.$/m },
  { words: ['cache', 'nodes'], message: /^Not reached: the master .*\d\.$/m },
  { words: ['cache', 'flush', '--kid', 'k1', '-n'], message: /^Not reached: slots .*\)\.$/m },
  { words: ['token', 'revoke', '--kid', 'k1', '-n'], message: /^Parts of the registry could not be read/m },
  { words: ['cache', 'flush', '--kid', 'k1', '--yes'], message: /^Not reached: slots .*\)\.$/m },
  {
    words: ['token', 'revoke', '--kid', 'k1', '--yes'],
    message: /^The tokens are revoked, but some of their entries/m,
  },
])('a quiet command reports an incomplete result: $words', async ({ words, message }) => {
  const { exitCode, stderr } = await withMasterAway.run(...words, '-q');
  expect({ exitCode, stderr }).toEqual({ exitCode: 5, stderr: expect.stringMatching(message) });
});

test.each(['--output=table', '--output=ndjson', '--json'])(
  'reports an incomplete result with %s',
  async (form) => {
    const { exitCode, stderr } = await withMasterAway.run('cache', 'nodes', form);
    expect({ exitCode, stderr }).toEqual({ exitCode: 5, stderr: expect.stringMatching(/^Not reached: /m) });
  },
);

test.each([
  ['keys', 'usage'],
  ['cache', 'nodes'],
  ['cache', 'flush', '--kid', 'k1', '-n'],
  ['token', 'revoke', '--sub', 'zoe', '--all', '--yes'],
])('a quiet command prints nothing on stderr if the result is complete: %s %s', async (...words) => {
  expect(await stores.run(...words, '-q')).toMatchObject({ exitCode: 0, stderr: '' });
});
