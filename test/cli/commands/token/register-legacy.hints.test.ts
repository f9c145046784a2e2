import type { KeyObject } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../../../support/cli.js';
import { freshJwk, keyOf, pkcs8Of } from '../../../support/private-keys.js';
import { signJws } from '../../../support/signing.js';
import { openStores, type Stores } from '../../../support/stores.js';

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

  describe('a token that is refused for what it lacks', () => {
    const complete = () => ({ iss: 'jwtctl', aud: 'user', iat: stores.clock.now(), jti: 'complete' });
    const refusalOf = async (stdin: string) => {
      const { exitCode, error } = await stores.run('token', 'register', '-', '--json', { stdin });
      expect(exitCode).toBe(1);
      return error();
    };

    test.each(['iss', 'aud', 'iat', 'jti'])('is pointed to --legacy if it lacks %s', async (claim) => {
      for (const value of [undefined, null]) {
        const stdin = await token({ ...complete(), [claim]: value }, { kid: 'theirs' });
        expect(await refusalOf(stdin)).toMatchObject({
          code: 'ERR_CLAIM_INVALID',
          message: expect.stringContaining(`The token's ${claim} is`),
          hint: expect.stringContaining('--legacy'),
        });
      }
    });

    test.each([{}, { kid: null }, { kid: 7 }, { kid: '' }])(
      'is pointed to --legacy with the kid of %j',
      async (header) => {
        const { code, hint } = await refusalOf(await token(complete(), header));
        expect([code, hint]).toEqual(['ERR_KEY_UNKNOWN', expect.stringContaining('--legacy')]);
      },
    );

    test('is not pointed to --legacy if it has no exp, which no token may lack', async () => {
      const { hint } = await refusalOf(await token({ exp: undefined }, { kid: 'theirs' }));
      expect(hint).toContain('without an exp never expires');
    });

    test('is told that times are seconds if its exp is in nanoseconds', async () => {
      const { code, hint } = await refusalOf(await token({ ...complete(), exp: 1.8e18 }, { kid: 'theirs' }));
      expect([code, hint]).toEqual(['ERR_CLAIM_INVALID', expect.stringContaining('seconds since 1970')]);
      expect(hint).not.toContain('the sub as text');
    });

    test('is shown the digits of a sub beyond 2^53', async () => {
      const stdin = await token({ ...complete(), sub: 'SUB' }, { kid: 'theirs' });
      const payload = Buffer.from(String(stdin.split('.')[1]), 'base64url').toString();
      const big = payload.replace('"SUB"', '1147953659032899585');
      const signed = await signJws({ privateKey: key }, { alg: 'RS256', kid: 'theirs' }, big);
      for (const more of [[], ['--legacy']]) {
        const { exitCode, error } = await stores.run('token', 'register', '-', ...more, '--json', {
          stdin: signed,
        });
        expect([exitCode, error().message]).toEqual([
          1,
          "The token's sub is a number beyond 2^53; expected a string. The sub is 1147953659032899585.",
        ]);
      }
    });
  });

  test('tokens that are registered again are counted', async () => {
    const shell = until('2999-12-31');
    const [one, two] = [await token({ again: 1 }), await token({ again: 2 })];
    const first = await shell.run('token', 'register', '--legacy', '-', { stdin: one });
    expect([first.exitCode, first.stderr]).toEqual([0, expect.not.stringContaining('before')]);
    const again = await shell.run('token', 'register', '--legacy', '-', { stdin: one });
    expect(again.stderr).toContain('The token was registered before.');
    const words = ['token', 'register', '--legacy', '--token-file', '-'];
    for (const dry of [['--dry-run'], []]) {
      const many = await shell.run(...words, ...dry, { stdin: `${one}\n${two}\n` });
      expect(many.stderr).toContain('1 of them was registered before.');
    }
    const json = await shell.run(...words, '-o', 'ndjson', { stdin: `${one}\n${two}\n` });
    expect(json.stderr).toContain('"alreadyRegistered":2');
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
