import type { KeyObject } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../support/cli.js';
import { freshJwk, keyOf, pkcs8Of } from '../support/private-keys.js';
import { signJws } from '../support/signing.js';
import { openStores, type Stores } from '../support/stores.js';

describe('legacy tokens', () => {
  let stores: Stores;
  let key: KeyObject;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    key = keyOf(freshJwk());
    await stores.json('keys', 'import', '--pem', '-', '--kid', 'theirs', { stdin: pkcs8Of(key) });
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  function token(claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) {
    const exp = stores.clock.now() + 600;
    return signJws({ privateKey: key }, { alg: 'RS256', ...header }, { sub: 'alice', exp, ...claims });
  }

  /** The same stores, with another date. */
  function until(acceptLegacy: string | number) {
    const env = { JWTCTL_TOKEN_ACCEPT_LEGACY: String(acceptLegacy) };
    return cli({ env, home: stores.home, clock: stores.clock });
  }

  test('a complete token with a kid that no key has is pointed to --legacy', async () => {
    const claims = { iss: 'jwtctl', aud: 'user', iat: stores.clock.now(), jti: 'foreign' };
    const foreign = await token(claims, { kid: 'of another program' });
    const single = await stores.run('token', 'register', '-', '--json', { stdin: foreign });
    expect([single.exitCode, single.error().code]).toEqual([1, 'ERR_KEY_UNKNOWN']);
    expect(single.error().hint).toContain('--legacy');
    const many = await stores.run('token', 'register', '--token-file', '-', { stdin: foreign });
    expect(many.stderr).toContain('has a kid that no key has');
    const { exitCode } = await until('2999-12-31').run('token', 'register', '--legacy', '-', {
      stdin: foreign,
    });
    expect(exitCode).toBe(0);
  });

  test.each([
    [() => '', 'token.acceptLegacy is not set'],
    [() => '2020-01-31', 'token.acceptLegacy ended on 2020-01-31 (UTC)'],
    [() => String(stores.clock.now()), 'token.acceptLegacy ended at 20'],
  ])('after the date, the refusal names it', async (date, why) => {
    const stdin = await token();
    const { json } = await until(date()).run('token', 'verify', '-', '--json', { stdin });
    expect(json().error).toMatchObject({
      code: 'ERR_KEY_UNKNOWN',
      message: expect.stringContaining(`The token has no kid, and ${why}`),
    });
  });

  test('tokens that expire after the date are registered with a warning', async () => {
    const end = stores.clock.now() + 1_000;
    const shell = until(end);
    const single = await shell.run('token', 'register', '--legacy', '-', {
      stdin: await token({ exp: end + 60 }),
    });
    const last = new Date((end + 60) * 1_000).toISOString().replace('.000', '');
    expect(single.stderr).toContain('1 token expires after token.acceptLegacy');
    expect(single.stderr).toContain(`at ${last}`);
    const stdin = (
      await Promise.all([end - 1, end, end + 1, end + 60].map((exp) => token({ exp, a: 1 })))
    ).join('\n');
    const many = await shell.run('token', 'register', '--legacy', '--token-file', '-', { stdin });
    expect(many.stderr).toContain('2 tokens expire after token.acceptLegacy');
    expect(many.stderr).toContain(`at ${last}`);
    const before = await shell.run('token', 'register', '--legacy', '-', { stdin: await token({ b: 1 }) });
    expect(before.stderr).not.toContain('acceptLegacy');
  });

  test('token verify shows the kid of the key that made the signature', async () => {
    const shell = until('2999-12-31');
    const stdin = await token({ c: 1 });
    await shell.run('token', 'register', '--legacy', '-', { stdin });
    const { stdout } = await shell.run('token', 'verify', '-', { stdin });
    expect(stdout).toMatch(/^kid +theirs$/m);
    expect(await shell.json('token', 'verify', '-', { stdin })).toMatchObject({ kid: 'theirs' });
  });

  test('an empty file of tokens is an error', async () => {
    for (const stdin of ['', '\n \n']) {
      const { exitCode, stderr } = await stores.run('token', 'register', '--token-file', '-', { stdin });
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining('it is empty')]);
    }
  });

  test('config validate warns about a date in the past', async () => {
    const { exitCode, stdout } = await until('2020-01-31').run('config', 'validate', '--json');
    expect([exitCode, JSON.parse(stdout).warnings]).toEqual([
      0,
      [expect.stringContaining('token.acceptLegacy ended on 2020-01-31 (UTC)')],
    ]);
    const valid = await until('2999-12-31').run('config', 'validate', '--json');
    expect(JSON.parse(valid.stdout).warnings).toEqual([]);
  });
});
