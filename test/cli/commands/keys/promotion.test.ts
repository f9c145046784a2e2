import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Cli, cli } from '../../../support/cli.js';
import { BACKENDS, openStores, type Stores, writeMasterKey } from '../../../support/stores.js';

/** The host's keyring lacks the master key under which another host sealed the next key. */
describe.each(BACKENDS)('a host that cannot open the next key, on %s', (backend) => {
  let stores: Stores;
  let other: Cli;
  beforeEach(async () => {
    stores = await openStores(backend, { JWTCTL_KEYS_PUBLISH_LEAD: '10m' });
    stores.env.JWTCTL_MASTER_KEY_FILE = writeMasterKey(stores.home, 'here.key');
    await stores.json('keys', 'generate', '--kid', 'first');
    const env = { ...stores.env, JWTCTL_MASTER_KEY_FILE: writeMasterKey(stores.home, 'there.key') };
    other = cli({ env, home: stores.home, clock: stores.clock });
    await other.json('keys', 'generate', '--kid', 'next');
    await stores.json('users', 'add', 'alice');
    stores.clock.advance(3_600);
  });
  afterEach(() => stores?.close());

  test.each([
    ['keys', 'rotate', '--if-older-than', '1h'],
    ['keys', 'rotate', '--now'],
    ['keys', 'activate', 'next'],
  ])('keeps the old key active: %s %s %s', async (...words) => {
    const before = await stores.content();
    for (const more of [[], ['--dry-run']]) {
      const { exitCode, stdout, error } = await stores.run(...words, ...more, '--json');
      expect({ exitCode, stdout, code: error().code }).toEqual({
        ...{ exitCode: 3, stdout: '', code: 'ERR_MASTER_KEY_UNKNOWN' },
      });
      expect(error().hint).toContain('`jwtctl keys retire next`');
    }
    expect(await stores.content()).toBe(before);
    expect((await stores.json('token', 'issue', '--sub', 'alice')).kid).toBe('first');

    appendFileSync(String(stores.env.JWTCTL_MASTER_KEY_FILE), readThere(other));
    expect((await stores.run(...words, '--json')).exitCode).toBe(0);
    expect((await stores.json('token', 'issue', '--sub', 'alice')).kid).toBe('next');
  });

  test.each([
    ['keys', 'rotate', '--now'],
    ['keys', 'activate', 'next', '--now'],
    ['keys', 'generate'],
  ])('is told by a dry run that its keyring is missing: %s %s %s', async (...words) => {
    stores.env.JWTCTL_MASTER_KEY_FILE = join(stores.home, 'lost.key');
    for (const more of [[], ['--dry-run']]) {
      const { exitCode, stdout } = await stores.run(...words, ...more, '--json');
      expect({ exitCode, stdout }).toEqual({ exitCode: expect.toBeOneOf([2, 3]), stdout: '' });
    }
  });

  test('rotates to another key after that one is retired', async () => {
    await stores.json('keys', 'retire', 'next');
    const { active } = await stores.json('keys', 'rotate', '--now');
    expect((await stores.json('token', 'issue', '--sub', 'alice')).kid).toBe(active);
  });
});

function readThere({ env }: Cli): string {
  return readFileSync(String(env.JWTCTL_MASTER_KEY_FILE), 'utf8');
}
