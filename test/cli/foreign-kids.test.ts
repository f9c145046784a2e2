import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FOREIGN_KIDS } from '../support/foreign-kids.js';
import { freshPair, pkcs8Of } from '../support/private-keys.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

/** Some of the kids, because each needs a key pair. */
const KIDS = FOREIGN_KIDS.filter((_, index) => ![0, 10, 12, 15, 18, 21].includes(index));

describe.each(BACKENDS)('any kid, on %s', (backend) => {
  let stores: Stores;
  const tokens = new Map<string, string>();

  beforeAll(async () => {
    stores = await openStores(backend);
    await json('users', 'add', 'alice');
    for (const kid of KIDS) {
      const stdin = pkcs8Of(freshPair());
      await json('keys', 'import', '--pem', '-', `--kid=${kid}`, '--sign', { stdin });
      await json('keys', 'activate', '--now', '--', kid);
      tokens.set(kid, (await json('token', 'issue', '--sub', 'alice')).token);
    }
  });
  afterAll(() => stores?.close());

  /** The flag comes first, because of the words after `--`. */
  async function json(...words: Parameters<Stores['run']>) {
    const result = await stores.run('--json', ...words);
    expect(result).toMatchObject({ exitCode: 0 });
    return result.json();
  }

  test('signs, verifies, and is found byte for byte', async () => {
    for (const [kid, token] of tokens) {
      expect(await json('token', 'verify', token)).toMatchObject({ active: true, header: { kid } });
      expect(await json('keys', 'show', '--', kid)).toMatchObject({ kid });
      const { keys } = await json('keys', 'usage', `--kid=${kid}`);
      expect(keys).toMatchObject([{ kid, tokens: 1 }]);
    }
    const missing = await stores.run('keys', 'show', '--json', 'K ');
    expect(missing.error().code).toBe('ERR_KEY_UNKNOWN');
  });

  test('is shown escaped in tables, on one line each', async () => {
    const { stdout } = await stores.run('keys', 'list');
    expect(stdout).not.toMatch(/\u202e/);
    expect(stdout.trimEnd().split('\n').length).toBe((await json('keys', 'list')).length + 1);
  });

  test('exports its private key to a file in the current folder', async () => {
    const kid = '../../etc/passwd';
    const before = readdirSync(stores.home);
    await json('keys', 'export', '--pem', '--private', '--yes', `--kid=${kid}`);
    expect(readdirSync(stores.home).filter((name) => !before.includes(name))).toEqual([
      '_._.._etc_passwd.private.pem',
    ]);
    expect((await stores.run('keys', 'export', '--pem', `--kid=${kid}`)).stdout).toContain('PUBLIC KEY');
  });

  test('survives a backup and a restore', async () => {
    const file = join(stores.home, 'backup');
    await json('cache', 'flush', '--all', '--backup', file, '--yes');
    await json('cache', 'restore', file);
    for (const token of tokens.values())
      expect(await json('token', 'verify', token)).toMatchObject({ active: true });
  });

  test('is revoked and compromised without effect on a similar kid', async () => {
    await json('token', 'revoke', '--kid=k', '--yes');
    await json(
      'keys',
      'compromise',
      '--reason',
      'leaked',
      '--yes',
      '--',
      '-x9P1XIYdYvNbP1CyEmPQ6Z6V0Yw3vY1c1ZgzQ0Yq3k',
    );
    const states = new Map<string, number>();
    for (const [kid, token] of tokens) states.set(kid, (await stores.run('token', 'verify', token)).exitCode);
    expect([...states].flatMap(([kid, code]) => (code === 1 ? [kid] : []))).toEqual([
      '-x9P1XIYdYvNbP1CyEmPQ6Z6V0Yw3vY1c1ZgzQ0Yq3k',
      'k',
    ]);
    const { rewrapped, unchanged, failed } = await json('keys', 'rewrap');
    expect([rewrapped, failed]).toEqual([[], []]);
    expect(unchanged.length).toBeGreaterThan(10);
  });
});
