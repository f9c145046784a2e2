import type { KeyObject } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshJwk, keyOf, pkcs8Of } from '../../../support/private-keys.js';
import { signJws } from '../../../support/signing.js';
import { openStores, type Stores } from '../../../support/stores.js';

describe('token register of tokens that are no access tokens', () => {
  let stores: Stores;
  let key: KeyObject;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    key = keyOf(freshJwk());
    await stores.json('keys', 'import', '--pem', '-', '--kid', 'theirs', { stdin: pkcs8Of(key) });
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  function token(claims: Record<string, unknown>, header: Record<string, unknown> = {}) {
    const exp = stores.clock.now() + 600;
    return signJws({ privateKey: key }, { alg: 'RS256', ...header }, { sub: 'alice', exp, ...claims });
  }

  function complete(claims: Record<string, unknown>) {
    const iat = stores.clock.now();
    return token({ iss: 'jwtctl', aud: 'user', iat, jti: 'j', ...claims }, { kid: 'theirs' });
  }

  function register(stdin: string, ...words: string[]) {
    return stores.run('token', 'register', ...words, '-', '--json', { stdin });
  }

  test('a refresh token is refused, with and without --legacy', async () => {
    for (const [one, flags] of [
      [await token({ type: 'refresh' }), ['--legacy']],
      [await complete({ type: 'refresh' }), []],
      [await complete({ type: 'refresh' }), ['--legacy']],
    ] as const) {
      const { exitCode, error } = await register(one, ...flags);
      expect([exitCode, error().code]).toEqual([1, 'ERR_TOKEN_TYPE_REFUSED']);
      expect(error().message).toContain('says that it is a refresh token');
      expect(error().hint).toContain('token.acceptTypes');
    }
    expect(await stores.json('token', 'list', '--sub', 'alice')).toEqual([]);
  });

  test('an ID token is registered and accepted if token.acceptTypes has its type', async () => {
    const one = await complete({ token_use: 'id', jti: 'id-token' });
    expect((await register(one)).exitCode).toBe(1);
    const accepting = ['--token-accept-types', 'JWT,ID'];
    expect((await register(one, ...accepting)).exitCode).toBe(0);
    const verify = (...flags: string[]) => stores.run('token', 'verify', one, '--json', ...flags);
    expect((await verify(...accepting)).json()).toMatchObject({ active: true });
    expect((await verify()).json()).toMatchObject({ error: { code: 'ERR_TOKEN_TYPE_REFUSED' } });
  });

  test('a file lists them under their code, and registers the others', async () => {
    const lines = await Promise.all([
      token({ type: 'access' }),
      token({ type: 'refresh', jti: 'a' }),
      token({ type: 'refresh', jti: 'b' }),
    ]);
    const flags = ['--legacy', '--token-file', '-'];
    const { exitCode, stderr } = await stores.run('token', 'register', ...flags, { stdin: lines.join('\n') });
    expect(exitCode).toBe(5);
    expect(stderr).toContain('2 tokens: ERR_TOKEN_TYPE_REFUSED (lines 2–3)');
    expect(stderr).toContain('1 token registered, 2 lines failed.');
  });
});
