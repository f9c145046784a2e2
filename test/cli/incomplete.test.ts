import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cli, cli } from '../support/cli.js';
import { closedPorts } from '../support/silent-server.js';
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
  { words: ['keys', 'usage'], said: /^Not seen: slots .*\)\.$/m },
  { words: ['cache', 'inspect'], said: /^Not seen: slots .*\)\.$/m },
  { words: ['cache', 'nodes'], said: /^Not reached: the master .*\d\.$/m },
  { words: ['cache', 'flush', '--kid', 'k1', '-n'], said: /^Not reached: slots .*\)\.$/m },
  { words: ['token', 'revoke', '--kid', 'k1', '-n'], said: /^Not all of the registry could be seen/m },
  { words: ['cache', 'flush', '--kid', 'k1', '--yes'], said: /^Not reached: slots .*\)\.$/m },
  { words: ['token', 'revoke', '--kid', 'k1', '--yes'], said: /^The security log holds .* not every entry/m },
])('what is incomplete says so where only ids are wanted, too: $words', async ({ words, said }) => {
  const { exitCode, stderr } = await withMasterAway.run(...words, '-q');
  expect({ exitCode, stderr }).toEqual({ exitCode: 5, stderr: expect.stringMatching(said) });
});

test.each(['--output=table', '--output=ndjson', '--json'])('and so it does with %s', async (form) => {
  const { exitCode, stderr } = await withMasterAway.run('cache', 'nodes', form);
  expect({ exitCode, stderr }).toEqual({ exitCode: 5, stderr: expect.stringMatching(/^Not reached: /m) });
});

test.each([
  ['keys', 'usage'],
  ['cache', 'nodes'],
  ['cache', 'flush', '--kid', 'k1', '-n'],
  ['token', 'revoke', '--sub', 'nobody', '--all'],
])('what is complete says nothing beside an id: %s %s', async (...words) => {
  expect(await stores.run(...words, '-q')).toMatchObject({ exitCode: 0, stderr: '' });
});
