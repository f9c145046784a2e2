import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { closedPorts } from '../support/proxies/silent-server.js';
import { BIN, type Ended, spawnProgram } from '../support/spawned.js';
import { openStores, type Stores } from '../support/stores.js';

const HOUR = 3_600;

let stores: Stores;

beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  await stores.json('keys', 'generate', '--kid', 'first');
});
afterAll(() => stores?.close());

/** Runs a command on a host whose clock differs from all others by the given number of seconds. */
function runApart(
  seconds: number,
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  const clock = `const { now } = Date; Date.now = () => now() + ${seconds * 1000};`;
  const { home, env: own } = stores;
  return spawnProgram(process.execPath, ['--import', `data:text/javascript,${clock}`, BIN, ...argv], {
    env: { ...own, HOME: home, ...env },
    killAfterMs: 60_000,
  });
}

function issue(sub: string): Promise<{ token: string; iat: number }> {
  return stores.json('token', 'issue', '--sub', sub, '--create-user');
}

async function verdict(token: string): Promise<string> {
  const { active, error } = (await stores.run('token', 'verify', token, '--json')).json();
  return active ? 'active' : error.code;
}

describe('revoking covers all tokens while the registry cannot be reached', () => {
  let away: Record<string, string>;
  beforeEach(async () => {
    const [port] = await closedPorts(1);
    away = { JWTCTL_REDIS_NODES: `127.0.0.1:${port}`, JWTCTL_TIMEOUT: '1s' };
  });

  test('from a host that is ahead within the tolerance', async () => {
    stores.clock.advance(Math.floor(Date.now() / 1000) - stores.clock.now() + 4);
    const { token } = await issue('alice');
    const { exitCode } = await runApart(0, ['token', 'revoke', '--sub', 'alice', '--all', '--yes'], away);
    expect(exitCode).toBe(4);
    expect(await verdict(token)).toBe('ERR_TOKEN_REVOKED');
  }, 60_000);

  test.each([
    { sub: 'bob', argv: ['token', 'revoke', '--sub', 'bob', '--all', '--yes'] },
    { sub: 'carol', argv: ['users', 'remove', 'carol', '--yes'] },
    { sub: 'dave', argv: ['token', 'revoke', '--kid', 'first', '--yes'] },
  ])(
    'on a host two hours behind: $argv',
    async ({ sub, argv }) => {
      const { token } = await issue(sub);
      await runApart(-2 * HOUR, argv, away);
      if (argv[0] === 'users') await stores.json('users', 'add', sub);
      expect(await verdict(token)).toBe('ERR_TOKEN_REVOKED');
    },
    60_000,
  );
});

describe('keys get their times from the clock of the database', () => {
  const keys = async (): Promise<Array<Record<string, unknown>>> => stores.query('SELECT * FROM keystore');
  const realNow = () => Math.floor(Date.now() / 1000);

  test('a host that is ahead does not retire a key with valid tokens', async () => {
    await stores.json('keys', 'rotate', '--now');
    const { token } = await issue('erin');
    await stores.json('keys', 'rotate', '--now');
    const { exitCode } = await runApart(400 * 24 * HOUR, ['keys', 'rotate', '--now']);
    expect(exitCode).toBe(0);
    expect(await verdict(token)).toBe('active');
    for (const { activated_at: at } of await keys()) expect(Number(at)).toBeLessThan(realNow() + HOUR);
  }, 60_000);

  test('with a host that is behind, a key verifies for the lifetime of its tokens', async () => {
    const [active] = (await keys()).filter(({ state }) => state === 'active');
    await runApart(-26 * HOUR, ['keys', 'rotate', '--now']);
    const retiring = (await keys()).find(({ kid }) => kid === active?.kid);
    expect(retiring?.state).toBe('retiring');
    expect(Number(retiring?.verify_until)).toBeGreaterThan(realNow() + 23 * HOUR);
  }, 60_000);

  test('cache reconcile on a host that is ahead finds nothing to repair', async () => {
    await issue('frank');
    const { exitCode, stdout } = await runApart(2 * HOUR, ['cache', 'reconcile', '--json']);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ leftovers: 0 });
  }, 60_000);
});

test('a host that is ahead does not end a ban early', async () => {
  await stores.json('users', 'add', 'grace');
  const ahead = (...argv: string[]) => runApart(2 * HOUR, [...argv, '--json']);
  const issued = () => ahead('token', 'issue', '--sub', 'grace');
  await stores.json('users', 'disable', 'grace', '--for', '1h');
  expect((await issued()).exitCode).toBe(3);
  // The ban of that host itself counts, too.
  await stores.json('users', 'enable', 'grace');
  await ahead('users', 'disable', 'grace', '--for', '1h');
  expect((await issued()).exitCode).toBe(3);
  expect((await stores.json('users', 'show', 'grace')).status).toBe('disabled');
}, 60_000);
