import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  freshJwk,
  keyOf,
  openssl,
  type PrivateJwk,
  pkcs8Of,
  writeKeyFile,
} from '../../../support/private-keys.js';
import { signJws } from '../../../support/signing.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

const DAY = 86_400;

let jwks: PrivateJwk[] = [];
beforeAll(() => {
  jwks = Array.from({ length: 4 }, () => freshJwk());
});
const privateKey = (index: number) => keyOf(jwks[index] as PrivateJwk);
const publicKey = (index: number) => createPublicKey(privateKey(index));

describe.each(BACKENDS)('a verify-only key, on %s', (backend) => {
  let stores: Stores;
  let serial = 0;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('users', 'add', 'alice');
    await stores.json('keys', 'generate', '--kid', 'ours');
  });
  afterAll(() => stores?.close());

  async function importPrivate(index: number, kid: string, ...words: string[]) {
    const stdin = pkcs8Of(privateKey(index));
    return stores.run('keys', 'import', '--pem', '-', '--kid', kid, '--verify-only', ...words, { stdin });
  }

  function tokenOf(index: number, kid: string, ttlSeconds: number): Promise<string> {
    const iat = stores.clock.now();
    serial += 1;
    const claims = {
      iss: 'jwtctl',
      aud: 'user',
      sub: 'alice',
      iat,
      exp: iat + ttlSeconds,
      jti: `t-${serial}`,
    };
    return signJws({ privateKey: privateKey(index) }, { alg: 'RS256', kid }, claims);
  }

  async function code(...words: Parameters<Stores['run']>): Promise<string> {
    const { exitCode, stderr, error } = await stores.run(...words, '--json');
    return exitCode === 0 || stderr === '' ? 'done' : error().code;
  }

  async function verdict(token: string): Promise<string> {
    const { exitCode, json } = await stores.run('token', 'verify', '-', '--json', { stdin: token });
    return exitCode === 0 ? 'active' : json().error.code;
  }

  test('is stored without its private key', async () => {
    const imported = await importPrivate(0, 'old', '--json');
    expect(imported.json()).toMatchObject({
      ...{ kid: 'old', state: 'retiring', verifyOnly: true, masterKeyId: null },
      ...{ activatedAt: null, retiringAt: null, verifyUntil: null },
    });
    expect(await stores.query("SELECT private_key, master_key_id FROM keystore WHERE kid = 'old'")).toEqual([
      { private_key: null, master_key_id: null },
    ]);
    const audit = await stores.query("SELECT outcome FROM audit_log WHERE target = 'old'");
    expect(audit.map(({ outcome }) => outcome)).toEqual(['verify-only']);
  });

  test('is named verify-only and without an end, and is in the JWK Set', async () => {
    for (const words of [
      ['keys', 'list'],
      ['keys', 'show', 'old'],
      ['keys', 'usage', '--kid', 'old'],
    ]) {
      expect((await stores.run(...words)).stdout).toMatch(/verify-only.*no end/s);
    }
    const { keys } = await stores.json('keys', 'export');
    expect(keys.map(({ kid }: { kid: string }) => kid)).toEqual(['ours', 'old']);
  });

  test('verifies tokens of any lifetime and survives rotations', async () => {
    const token = await tokenOf(0, 'old', 400 * DAY);
    const registered = await stores.run('token', 'register', '-', '--json', { stdin: token });
    expect([registered.json(), registered.stderr]).toMatchObject([{ kid: 'old' }, '']);
    expect((await stores.run('token', 'register', '-', { stdin: token })).stderr).not.toContain(
      'stops signing',
    );
    expect((await stores.run('cache', 'inspect')).stdout).toMatch(/old\s+verify-only/);
    for (let count = 0; count < 3; count++) {
      stores.clock.advance(40 * DAY);
      const rotated = await stores.json('keys', 'rotate', '--now');
      expect(rotated.active).not.toBe('old');
      expect(rotated.retired).not.toContain('old');
    }
    expect(await verdict(token)).toBe('active');
    const usage = await stores.json('keys', 'usage', '--kid', 'old');
    expect(usage.keys[0]).toMatchObject({ tokens: 1, retirableAt: expect.any(Number), verifyUntil: null });
    await stores.json('token', 'revoke', '-', { stdin: token });
    stores.clock.advance(200 * DAY);
    await stores.json('keys', 'rotate');
    expect(await code('token', 'register', '-', { stdin: token })).toBe('ERR_TOKEN_REVOKED');
  });

  test('cannot sign or be exported', async () => {
    expect(await code('keys', 'activate', 'old', '--now')).toBe('ERR_KEY_NOT_PENDING');
    const words = ['keys', 'export', '--private', '--yes', '--out', 'private'];
    expect(await code(...words, '--pem', '--kid', 'old')).toBe('ERR_PRIVATE_KEY_MISSING');
    expect((await stores.json(...words)).kids).not.toContain('old');
    expect((await stores.json('keys', 'rewrap')).failed).toEqual([]);
  });

  test('is retired by hand only when no live token uses it', async () => {
    const token = await tokenOf(0, 'old', DAY);
    await stores.json('token', 'register', '-', { stdin: token });
    const refused = await stores.run('keys', 'retire', 'old', '--json');
    expect(refused.error()).toMatchObject({
      code: 'ERR_KEY_IN_USE',
      hint: expect.stringContaining('`jwtctl keys retire` again'),
    });
    await stores.json('token', 'revoke', '-', { stdin: token });
    expect(await stores.json('keys', 'retire', 'old')).toMatchObject({ state: 'retired', verifyOnly: false });
    expect(await verdict(token)).toBe('ERR_KEY_NOT_TRUSTED');
  });

  test('can be purged, after which its tokens stay refused under the same kid', async () => {
    await importPrivate(1, 'again');
    const token = await tokenOf(1, 'again', 400 * DAY);
    await stores.json('token', 'register', '-', { stdin: token });
    await stores.json('keys', 'retire', 'again', '--force');
    await stores.json('keys', 'purge', '--yes');
    await importPrivate(1, 'again');
    stores.clock.advance(300 * DAY);
    expect(await verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });

  test('can be compromised, which refuses its tokens', async () => {
    await stores.json('keys', 'compromise', 'again', '--reason', 'leaked', '--yes');
    expect(await verdict(await tokenOf(1, 'again', DAY))).toBe('ERR_KEY_NOT_TRUSTED');
  });

  test('ends at --verify-until, and no token outlives it', async () => {
    const until = stores.clock.now() + 30 * DAY;
    const imported = await importPrivate(2, 'ending', '--verify-until', String(until), '--json');
    expect(imported.json()).toMatchObject({ verifyOnly: true, verifyUntil: until });
    const outliving = await tokenOf(2, 'ending', 31 * DAY);
    expect(await code('token', 'register', '-', { stdin: outliving })).toBe('ERR_KEY_NOT_TRUSTED');
    const token = await tokenOf(2, 'ending', 29 * DAY);
    await stores.json('token', 'register', '-', { stdin: token });
    stores.clock.advance(30 * DAY);
    expect((await stores.json('keys', 'rotate')).retired).toContain('ending');
  });

  test('leaves a store without an active key as it is', async () => {
    const empty = await openStores(backend);
    const { stdin } = { stdin: pkcs8Of(privateKey(0)) };
    await empty.json('keys', 'import', '--pem', '-', '--kid', 'k1', '--verify-only', { stdin });
    const refused = await empty.run('token', 'issue', '--sub', 'alice', '--create-user', '--json');
    expect(refused.error().code).toBe('ERR_NO_ACTIVE_KEY');
    expect((await empty.json('keys', 'rotate')).active).not.toBe('k1');
    await empty.close();
  });

  test('is reported with its state if it is imported again', async () => {
    await importPrivate(3, 'twice');
    expect((await importPrivate(3, 'twice')).stderr).toContain('Key twice already exists, is verify-only');
    expect(
      await code('keys', 'import', '--pem', '-', '--kid', 'other', { stdin: pkcs8Of(privateKey(3)) }),
    ).toBe('ERR_KEY_MATERIAL_EXISTS');
  });

  test.each([
    [['--verify-until', '4102444800'], 'ERR_FLAG_COMBINATION'],
    [['--verify-only', '--verify-until', '1000'], 'ERR_FLAG_INVALID'],
    [['--verify-only', '--verify-until', 'soon'], 'ERR_FLAG_INVALID'],
  ])('refuses the flags %j', async (words, expected) => {
    const stdin = pkcs8Of(privateKey(0));
    expect(await code('keys', 'import', '--pem', '-', '--kid', 'x', ...words, { stdin })).toBe(expected);
  });
});

describe.each(BACKENDS)('keys import --public, on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
  });
  afterAll(() => stores?.close());

  test('reads SPKI, PKCS#1, a certificate, and a JWK as the same key', async () => {
    writeKeyFile(stores.home, 'key.pem', pkcs8Of(privateKey(0)));
    const folder = stores.home;
    const request = ['req', '-x509', '-new', '-key', 'key.pem', '-subj', '/CN=issuer', '-days', '30'];
    const forms = [
      ['--pem', publicKey(0).export({ type: 'spki', format: 'pem' }).toString()],
      ['--pem', publicKey(0).export({ type: 'pkcs1', format: 'pem' }).toString()],
      ['--pem', await openssl(folder, ...request)],
      ['--pem', await openssl(folder, ...request, '-text')],
      ['--jwk', JSON.stringify(publicKey(0).export({ format: 'jwk' }))],
      ['--jwk', JSON.stringify(privateKey(0).export({ format: 'jwk' }))],
    ];
    for (const [flag, stdin] of forms as Array<[string, string]>) {
      const key = await stores.json('keys', 'import', '--public', flag, '-', '--kid', 'theirs', { stdin });
      expect(key).toMatchObject({ kid: 'theirs', state: 'retiring', verifyOnly: true, masterKeyId: null });
    }
    expect(await stores.json('keys', 'list')).toHaveLength(1);
    const { n } = (await stores.json('keys', 'show', 'theirs')).jwk;
    expect(n).toBe(jwks[0]?.n);
  });

  test('takes kid and alg from the JWK, and reads a set', async () => {
    const members = (index: number, more: object) => ({
      ...publicKey(index).export({ format: 'jwk' }),
      ...more,
    });
    const stdin = JSON.stringify({
      keys: [
        members(1, { kid: 'a', alg: 'PS256', use: 'sig' }),
        members(2, { kid: 'b', key_ops: ['verify'] }),
      ],
    });
    expect(await stores.json('keys', 'import', '--public', '--jwk', '-', { stdin })).toMatchObject([
      { kid: 'a', alg: 'PS256', verifyOnly: true },
      { kid: 'b', alg: 'RS256', verifyOnly: true },
    ]);
  });
});
