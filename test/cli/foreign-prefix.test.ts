import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cli, cli } from '../support/cli.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { openStores, type Stores, writeMasterKey } from '../support/stores.js';

let own: Stores;
let other: Stores;
beforeAll(async () => {
  [own, other] = await Promise.all([
    openStores('MariaDB and a Redis Cluster'),
    openStores('MariaDB and a Redis Cluster'),
  ]);
  for (const stores of [own, other]) {
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
    await stores.json('token', 'issue', '--sub', 'alice');
    await stores.json('users', 'add', 'bob');
    // An event comes last, so that the mark names an audit row of this installation only.
    await stores.json('token', 'revoke', '--sub', 'bob', '--all', '--yes');
  }
});
afterAll(() => Promise.all([own?.close(), other?.close()]));

function on(stores: Stores, env: Record<string, string>): Cli {
  return cli({ home: stores.home, clock: stores.clock, env: { ...stores.env, ...env } });
}

const liveTokens = async () => (await own.json('token', 'list', '--sub', 'alice')).length;

async function reconcile(shell: Cli) {
  const { exitCode, stdout, stderr } = await shell.run('cache', 'reconcile', '--json');
  return exitCode === 0 ? JSON.parse(stdout).dropped : { exitCode, code: JSON.parse(stderr).error.code };
}

const NOTHING_DROPPED = { keyNotTrusted: 0, revoked: 0, userUnknown: 0 };

test('commands that change many entries refuse the prefix of another installation', async () => {
  const wrong = on(other, { JWTCTL_REDIS_PREFIX: String(own.env.JWTCTL_REDIS_PREFIX) });
  const backup = join(other.home, 'backup');
  await other.json('cache', 'snapshot', backup);
  for (const words of [['reconcile'], ['reconcile', '--dry-run'], ['restore', backup]]) {
    const { exitCode, error } = await wrong.run('cache', ...words, '--json');
    expect({ exitCode, code: error().code }).toEqual({ exitCode: 3, code: 'ERR_REDIS_PREFIX_IN_USE' });
  }
  expect(await liveTokens()).toBe(1);
  expect(await reconcile(other)).toEqual(NOTHING_DROPPED);
});

test('recognizes another installation without a keyring, by the audit log', async () => {
  const bare = { JWTCTL_MASTER_KEY_FILE: '', XDG_DATA_HOME: join(own.home, 'no-keyring') };
  expect(await reconcile(on(own, bare))).toEqual(NOTHING_DROPPED);
  const wrong = on(other, { ...bare, JWTCTL_REDIS_PREFIX: String(own.env.JWTCTL_REDIS_PREFIX) });
  expect(await reconcile(wrong)).toEqual({ exitCode: 3, code: 'ERR_REDIS_PREFIX_IN_USE' });
  expect(await liveTokens()).toBe(1);
});

test('accepts its own prefix after the master key was replaced, dropped, or lost', async () => {
  const file = String(own.env.JWTCTL_MASTER_KEY_FILE);
  const [old, fresh] = [file, writeMasterKey(own.home, 'fresh.key')].map((name) =>
    readFileSync(name, 'utf8'),
  );
  const keyring = join(own.home, 'both.key');
  writeFileSync(keyring, `${fresh}${old}`, { mode: 0o600 });
  for (const name of [keyring, join(own.home, 'fresh.key')])
    expect(await reconcile(on(own, { JWTCTL_MASTER_KEY_FILE: name }))).toEqual(NOTHING_DROPPED);
  expect(await liveTokens()).toBe(1);
});

test('recognizes another installation by the audit log while the keyring cannot be fetched', async () => {
  const away = { JWTCTL_MASTER_KEY_FILE: '', JWTCTL_MASTER_KEY_COMMAND: 'exit 3' };
  expect(await reconcile(on(own, away))).toEqual(NOTHING_DROPPED);
  const wrong = on(other, { ...away, JWTCTL_REDIS_PREFIX: String(own.env.JWTCTL_REDIS_PREFIX) });
  expect(await reconcile(wrong)).toEqual({ exitCode: 3, code: 'ERR_REDIS_PREFIX_IN_USE' });
});

test('cache reconcile stops while it cannot read who uses the prefix, although other masters work', async () => {
  const { prefix, keys } = own.redis ?? expect.unreachable();
  const [master] =
    [...(await keys())].find(([, names]) => names.includes(`${prefix}:marks`)) ?? expect.unreachable();
  const [closed] = await closedPorts(1);
  const away = {
    JWTCTL_REDIS_NAT_MAP: `${master}=127.0.0.1:${closed}`,
    ...{ JWTCTL_REDIS_PREFIX: prefix, JWTCTL_TIMEOUT: '1s' },
  };
  // Which of the two depends on the connection that fails first.
  const code = expect.stringMatching(/^ERR_REDIS_(UNREACHABLE|CLUSTER_DOWN)$/);
  for (const shell of [on(own, away), on(other, away)])
    expect(await reconcile(shell)).toEqual({ exitCode: 4, code });
  expect(await liveTokens()).toBe(1);
});

test('accepts a mark that jwtctl did not write', async () => {
  const { client, prefix } = own.redis ?? expect.unreachable();
  await client.hset(`${prefix}:marks`, 'mark', 'garbage');
  expect(await reconcile(own)).toEqual(NOTHING_DROPPED);
  expect(await liveTokens()).toBe(1);
});

test('accepts a prefix without keys, such as after Redis lost its data', async () => {
  const { client, keys } = own.redis ?? expect.unreachable();
  for (const name of [...(await keys()).values()].flat()) await client.unlink(name);
  expect(await reconcile(own)).toEqual(NOTHING_DROPPED);
});
