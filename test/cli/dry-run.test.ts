import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../support/cli.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

describe.each(BACKENDS)('dry runs, on %s', (backend) => {
  let stores: Stores;
  let kid = '';
  let token = '';
  let jti = '';

  beforeAll(async () => {
    stores = await openStores(backend);
    kid = (await stores.json('keys', 'generate')).kid;
    await stores.json('users', 'add', 'alice');
    ({ token, jti } = await stores.json('token', 'issue', '--sub', 'alice', '--meta', 'device=phone'));
    await stores.json('users', 'add', 'bob');
    await stores.json('users', 'disable', 'bob');
  });
  afterAll(() => stores?.close());

  test('each changing command succeeds, says that it is a dry run, and changes nothing', async () => {
    const moment = String(stores.clock.now());
    await stores.json('cache', 'snapshot', 'snapshot');
    const before = await stores.content();
    for (const words of [
      ...[
        ['keys', 'generate'],
        ['keys', 'generate', '--count', '3'],
        ['keys', 'generate', '--kid', 'next'],
      ],
      ...[
        ['keys', 'rotate'],
        ['keys', 'publish', 'jwks.json'],
        ['keys', 'rotate', '--now'],
        ['keys', 'rotate', '--if-older-than', '1s'],
      ],
      ...[
        ['users', 'add', 'carol'],
        ['users', 'disable', 'alice'],
        ['users', 'enable', 'bob'],
        ['users', 'remove', 'alice'],
      ],
      ...[
        ['token', 'issue', '--sub', 'alice'],
        ['token', 'issue', '--sub', 'carol', '--create-user'],
      ],
      ...[
        ['token', 'revoke', token],
        ['token', 'revoke', '--sub', 'alice', '--jti', jti],
      ],
      ...[
        ['token', 'revoke', '--sub', 'alice', '--all'],
        ['token', 'revoke', '--kid', kid],
      ],
      ...[
        ['token', 'revoke', '--issued-before', moment],
        ['token', 'revoke', '--sub', 'alice', '--issued-before', moment],
      ],
      ...[
        ['cache', 'flush', '--all'],
        ['cache', 'flush', '--sub', 'alice'],
        ['cache', 'flush', '--kid', kid],
      ],
      ...[
        ['cache', 'flush', '--issued-before', moment],
        ['cache', 'reconcile'],
        ['cache', 'flush', '--all', '--backup', 'm'],
        ['cache', 'snapshot', 'm'],
        ['cache', 'restore', 'snapshot'],
        ['db', 'migrate'],
      ],
      ...[
        ['audit', 'export', 'audit.ndjson'],
        ['audit', 'prune', '--older-than', '1s'],
      ],
    ]) {
      const { exitCode, json } = await stores.run(...words, '--dry-run', '--json');
      expect({ words, exitCode }).toEqual({ words, exitCode: 0 });
      expect(json()).not.toEqual([]);
      expect((await stores.run('-n', ...words)).exitCode).toBe(0);
      expect({ words, content: await stores.content() }).toEqual({ words, content: before });
    }
  });

  test('report what the real run does', async () => {
    expect(await stores.json('token', 'revoke', '--kid', kid, '-n')).toMatchObject({
      revoked: 0,
      wouldRevoke: 1,
    });
    expect(await stores.json('cache', 'flush', '--all', '-n')).toMatchObject({
      matched: 1,
      removed: 0,
      dryRun: true,
    });
    expect(await stores.json('keys', 'rotate', '--now', '-n')).toMatchObject({
      rotated: false,
      wouldRotate: true,
    });
    expect(await stores.json('users', 'disable', 'alice', '-n')).toMatchObject({
      sub: 'alice',
      status: 'disabled',
    });
    const unknown = await stores.run('token', 'revoke', '--sub', 'alice', '--jti', 'zoe', '-n');
    expect(unknown.stdout).not.toContain('replicas confirmed');
    expect(unknown.stderr).toContain('The revocation would be recorded');
    expect((await stores.run('users', 'add', 'alice', '-n')).exitCode).toBe(3);
    expect((await stores.run('users', 'remove', 'zoe', '-n')).exitCode).toBe(3);
    expect((await stores.run('keys', 'generate', '--kid', kid, '-n')).exitCode).toBe(3);
  });

  test('a command that needs a confirmation exits 2 without a terminal, names the flag, and changes nothing', async () => {
    const moment = String(stores.clock.now());
    const before = await stores.content();
    for (const words of [
      ...[
        ['cache', 'flush', '--all'],
        ['cache', 'flush', '--sub', 'alice'],
        ['cache', 'flush', '--kid', kid],
      ],
      ...[
        ['cache', 'flush', '--issued-before', moment],
        ['token', 'revoke', '--kid', kid],
      ],
      ['token', 'revoke', '--issued-before', moment],
    ]) {
      for (const more of [[], ['--no-input']]) {
        const { exitCode, stdout, stderr, error } = await stores.run(...words, ...more, '--json');
        expect({ words, exitCode, stdout, code: error().code }).toEqual({
          ...{ words, exitCode: 2, stdout: '', code: 'ERR_CONFIRMATION_NEEDED' },
        });
        expect(stderr).toContain('--yes');
      }
    }
    expect(await stores.content()).toBe(before);
    expect(await stores.json('token', 'verify', token)).toMatchObject({ active: true });
  });
});

test('report the first key and user on an empty home, and create no file', async () => {
  const shell = cli();

  expect(await shell.json('keys', 'generate', '-n')).toMatchObject({ dryRun: true, firstState: 'active' });
  expect(await shell.json('users', 'add', 'alice', '-n')).toMatchObject({ sub: 'alice', status: 'enabled' });
  expect((await shell.run('db', 'migrate', '-n')).exitCode).toBe(3);
  expect(existsSync(join(shell.home, 'data'))).toBe(false);
});
