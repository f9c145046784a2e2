import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CliResult, cli, MovableClock } from '../../../support/cli.js';
import { parseNdjson } from '../../../support/ndjson.js';
import { startForwardingProxy } from '../../../support/proxies/forwarding-proxy.js';
import { BIN, spawnProgram } from '../../../support/spawned.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

/** Lets other work run while something waits. */
class BackgroundClock extends MovableClock {
  override readonly pause = async (milliseconds: number): Promise<void> => {
    this.advance(milliseconds / 1000);
    await new Promise((resolve) => setTimeout(resolve, 5));
  };
}

function eventsOf({ stdout }: CliResult) {
  return parseNdjson(stdout);
}

describe.each(BACKENDS)('events follow, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'k1');
    await stores.json('users', 'add', 'alice until 5');
  });
  afterAll(() => stores?.close());

  async function last(...command: string[]) {
    await stores.json(...command);
    const [{ seq }] = await stores.json('audit', 'list', '--limit', '1');
    const result = await stores.run('events', 'follow', '--from', '0', '--once');
    const events = eventsOf(result);
    expect(result.exitCode).toBe(0);
    expect(events.at(-1).position).toMatch(new RegExp(`^${seq}-[0-9a-f]{16}$`));
    return events.at(-1);
  }

  test('names what each event covers, without a token', async () => {
    const sub = 'alice until 5';
    const issue = () => stores.json('token', 'issue', '--sub', sub);
    const { token, jti } = await issue();
    const now = stores.clock.now();
    const revoked = { event: 'token.revoked', action: 'token.revoke', reason: null };
    const common = { position: expect.any(String), at: now, actor: expect.any(String) };
    expect(await last('token', 'revoke', token)).toEqual({ ...common, ...revoked, sub, jti });
    const all = ['token', 'revoke', '--sub', sub, '--all', '--yes'];
    expect(await last(...all)).toEqual({ ...common, ...revoked, sub, issuedBefore: expect.any(Number) });
    expect(await last('token', 'revoke', '--kid', 'k1', '--yes', '--reason', 'test')).toEqual({
      ...{ ...common, ...revoked, reason: 'test', kid: 'k1', issuedBefore: expect.any(Number) },
    });
    expect(await last('token', 'revoke', '--issued-before', String(now - 60), '--yes')).toEqual({
      ...{ ...common, ...revoked, issuedBefore: now - 60 },
    });
    const user = { ...common, reason: null, sub };
    expect(await last('users', 'disable', sub, '--for', '1h')).toEqual({
      ...{ ...user, event: 'user.disabled', action: 'users.disable', disabledUntil: now + 3600 },
    });
    expect(await last('users', 'enable', sub)).toEqual({
      ...{ ...user, event: 'user.enabled', action: 'users.enable' },
    });
    expect(await last('users', 'remove', sub, '--yes')).toEqual({
      ...{ ...user, event: 'user.removed', action: 'users.remove' },
    });
  });

  test('names each key that a rotation, a compromise, and a purge change', async () => {
    const from = String((await stores.json('audit', 'list', '--limit', '1'))[0].seq);
    await stores.json('keys', 'rotate', '--now');
    const [active] = await stores.json('keys', 'list', '--state', 'active');
    const [pending] = await stores.json('keys', 'list', '--state', 'pending');
    await stores.json('keys', 'retire', 'k1', '--force');
    await stores.json('keys', 'purge', '--yes');
    await stores.json('keys', 'compromise', active.kid, '--reason', 'leaked', '--yes');
    const events = eventsOf(await stores.run('events', 'follow', '--from', from, '--once'));
    expect(events.map(({ event, kid, action }) => [event, kid, action])).toEqual([
      ['key.retiring', 'k1', 'keys.rotate'],
      ['key.activated', active.kid, 'keys.rotate'],
      ['key.published', pending.kid, 'keys.rotate'],
      ['key.retired', 'k1', 'keys.retire'],
      ['key.purged', 'k1', 'keys.purge'],
      ['key.compromised', active.kid, 'keys.compromise'],
      ['key.activated', pending.kid, 'keys.compromise'],
      ['key.published', expect.any(String), 'keys.compromise'],
    ]);
  });

  test('prints new events until Ctrl-C, and exits with 130', async () => {
    const ending = new AbortController();
    const seen: string[] = [];
    const shell = cli({
      ...{ env: stores.env, home: stores.home, clock: new BackgroundClock(), signal: ending.signal },
      onStdout: (text) => {
        seen.push(text);
        if (seen.join('').includes('user.enabled')) ending.abort();
      },
    });
    await stores.json('users', 'add', 'carol');
    const following = shell.run('events', 'follow', '--interval', '7s');
    await stores.json('users', 'disable', 'carol');
    await stores.json('users', 'enable', 'carol');
    const { exitCode, stdout } = await following;
    expect(exitCode).toBe(130);
    expect(parseNdjson(stdout).map(({ event }) => event)).toContain('user.enabled');
    expect(stdout).not.toContain('key.');
  });

  test('ends after --limit, and continues after the last position', async () => {
    const all = eventsOf(await stores.run('events', 'follow', '--from', '0', '--once'));
    const two = eventsOf(await stores.run('events', 'follow', '--from', '0', '--limit', '2'));
    expect(two).toEqual(all.slice(0, 2));
    const rest = await stores.run('events', 'follow', '--from', two[1].position, '--once', '--json');
    expect(rest.json()).toEqual(all.slice(2));
    const ids = await stores.run('events', 'follow', '--from', '0', '--once', '--quiet');
    expect(ids.lines()).toEqual(all.map(({ position }) => position));
  });

  test('refuses a position of another form, an unknown one, and --json without --once', async () => {
    const codes = [];
    for (const words of [
      ['--from', 'now'],
      ['--from', `5-${'0'.repeat(16)}`, '--once'],
      ['--from', '100000', '--once'],
      [],
    ]) {
      const { exitCode, error } = await stores.run('events', 'follow', '--json', ...words);
      codes.push([exitCode, error().code]);
    }
    expect(codes).toEqual([
      [2, 'ERR_FLAG_INVALID'],
      [3, 'ERR_POSITION_UNKNOWN'],
      [3, 'ERR_POSITION_UNKNOWN'],
      [2, 'ERR_FLAG_COMBINATION'],
    ]);
  });
});

test('a reader that closes the pipe ends events follow quietly', async () => {
  const stores = await openStores('SQLite');
  for (let index = 0; index < 3; index++) await stores.json('keys', 'generate');
  const script = `"$0" "$1" events follow --from 0 --limit 3 | head -n 1`;
  const { exitCode, stdout, stderr } = await spawnProgram('/bin/sh', ['-c', script, process.execPath, BIN], {
    env: { ...stores.env, PATH: String(process.env.PATH) },
  });
  expect({ exitCode, lines: stdout.split('\n').length }).toEqual({ exitCode: 0, lines: 2 });
  expect(stderr).not.toContain('EPIPE');
});

test('waits while the database cannot be reached, says so once, and misses nothing', async () => {
  const stores = await openStores('MariaDB and a Redis Cluster');
  try {
    const url = new URL(String(stores.env.JWTCTL_MYSQL_URL));
    const target = { host: url.hostname, port: Number(url.port) };
    let proxy = await startForwardingProxy('127.0.0.1', target);
    url.port = String(proxy.port);
    const ending = new AbortController();
    const clock = new BackgroundClock();
    const shell = cli({
      env: { ...stores.env, JWTCTL_MYSQL_URL: url.href },
      ...{ home: stores.home, clock, signal: ending.signal },
    });
    const started = clock.now();
    const from = String((await stores.json('audit', 'list', '--limit', '1'))[0]?.seq ?? 0);
    const following = shell.run('events', 'follow', '--from', from, '--limit', '2');
    while (clock.now() < started + 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await proxy.stop();
    await stores.json('users', 'add', 'alice');
    await stores.json('users', 'disable', 'alice');
    const downAt = clock.now();
    while (clock.now() < downAt + 3) await new Promise((resolve) => setTimeout(resolve, 5));
    proxy = await startForwardingProxy('127.0.0.1', target, proxy.port);
    await stores.json('users', 'enable', 'alice');
    const { exitCode, stdout, stderr } = await following;
    await proxy.stop();
    expect(parseNdjson(stdout).map(({ event }) => event)).toEqual(['user.disabled', 'user.enabled']);
    expect(exitCode).toBe(0);
    expect(stderr.match(/Events continue when the database responds/g)).toHaveLength(1);
    expect(stderr).toContain('The database responds again.');
  } finally {
    await stores.close();
  }
});
