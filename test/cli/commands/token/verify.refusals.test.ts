import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cli } from '../../../support/cli.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

type Json = Record<string, unknown>;

describe.each(BACKENDS)('token verify on %s refuses', (backend) => {
  let stores: Stores;
  let kid = '';
  let token = '';
  let jti = '';
  let header = '';
  let payload = '';
  let signature = '';

  beforeAll(async () => {
    stores = await openStores(backend);
    kid = (await stores.json('keys', 'generate')).kid;
    await stores.json('users', 'add', 'alice');
  });
  beforeEach(async () => {
    ({ token, jti } = await stores.json('token', 'issue', '--sub', 'alice'));
    [header, payload, signature] = token.split('.') as [string, string, string];
  });
  afterEach(() => stores.run('users', 'enable', 'alice'));
  afterAll(() => stores?.close());

  async function expectRefusal(candidate: string, code: string, reason: string, ...flags: string[]) {
    const result = await stores.run('token', 'verify', ...flags, '--json', '--', candidate);
    expectRefused(result, code, reason);
    if (candidate.length > 40) expect(result.stdout + result.stderr).not.toContain(candidate);
  }

  test('an expired token', async () => {
    stores.clock.advance(3_600 + 4);
    expect(await stores.json('token', 'verify', token)).toMatchObject({ active: true });
    stores.clock.advance(1);
    await expectRefusal(token, 'ERR_TOKEN_EXPIRED', 'Token Expired');
  });

  test('a token that is not valid yet', async () => {
    const early = await stores.json('token', 'issue', '--sub', 'alice', '--not-before', '10m');
    await expectRefusal(early.token, 'ERR_TOKEN_NOT_YET_VALID', 'Invalid Token');
    stores.clock.advance(10 * 60 - 5);
    expect(await stores.json('token', 'verify', early.token)).toMatchObject({ active: true });
  });

  test('a token of another audience', async () => {
    await expectRefusal(token, 'ERR_AUDIENCE_MISMATCH', 'Invalid Token', '--aud', 'api');
    const both = await stores.json('token', 'issue', '--sub', 'alice', '--aud', 'api', '--aud', 'web');
    expect(both.aud).toEqual(['api', 'web']);
    expect(await stores.json('token', 'verify', both.token, '--aud', 'web')).toMatchObject({ active: true });
    await expectRefusal(both.token, 'ERR_AUDIENCE_MISMATCH', 'Invalid Token');
  });

  test('a token of another issuer', async () => {
    const elsewhere = cli({
      ...stores,
      env: { ...stores.env, JWTCTL_TOKEN_ISSUER: 'https://issuer.example' },
    });
    expectRefused(
      await elsewhere.run('token', 'verify', token, '--json'),
      'ERR_ISSUER_MISMATCH',
      'Invalid Token',
    );
  });

  test('a token with an unknown kid, and one signed by another key with a known kid', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const claims = decode(payload);

    const unknown = signed(privateKey, { alg: 'RS256', kid: 'somebody-else' }, claims);
    await expectRefusal(unknown, 'ERR_KEY_UNKNOWN', 'Invalid Token');
    await expectRefusal(signed(privateKey, { alg: 'RS256' }, claims), 'ERR_KEY_UNKNOWN', 'Invalid Token');
    const forged = signed(privateKey, { alg: 'RS256', kid }, claims);
    await expectRefusal(forged, 'ERR_SIGNATURE_INVALID', 'Invalid Token');
    const withItsKey = { alg: 'RS256', kid, jwk: { kty: 'RSA' }, jku: 'https://evil.example/jwks.json' };
    await expectRefusal(signed(privateKey, withItsKey, claims), 'ERR_SIGNATURE_INVALID', 'Invalid Token');
  });

  test('an alg other than that of the key', async () => {
    for (const alg of ['none', 'None', 'NONE', 'HS256', 'ES256', 'RS512', 'PS256', '']) {
      const choosing = `${encode({ alg, typ: 'JWT', kid })}.${payload}.${alg === 'none' ? '' : signature}`;
      await expectRefusal(choosing, 'ERR_ALG_NOT_ALLOWED', 'Invalid Token');
    }
  });

  test('an HMAC over the public key', async () => {
    const { stdout: pem } = await stores.run('keys', 'export', '--kid', kid, '--pem');
    const input = `${encode({ alg: 'HS256', typ: 'JWT', kid })}.${payload}`;
    const hmac = createHmac('sha256', pem).update(input).digest('base64url');
    await expectRefusal(`${input}.${hmac}`, 'ERR_ALG_NOT_ALLOWED', 'Invalid Token');
  });

  test('a changed payload or header', async () => {
    const changed = { ...decode(payload), sub: 'mallory' };
    await expectRefusal(
      `${header}.${encode(changed)}.${signature}`,
      'ERR_SIGNATURE_INVALID',
      'Invalid Token',
    );
    const longer = encode({ ...decode(header), extra: 1 });
    await expectRefusal(`${longer}.${payload}.${signature}`, 'ERR_SIGNATURE_INVALID', 'Invalid Token');
    await expectRefusal(`${header}.${payload}.`, 'ERR_SIGNATURE_INVALID', 'Invalid Token');
    const critical = encode({ ...decode(header), crit: ['b64'], b64: false });
    await expectRefusal(`${critical}.${payload}.${signature}`, 'ERR_TOKEN_MALFORMED', 'Invalid Token');
  });

  test('text that is not a token, and a token with a part too many', async () => {
    for (const text of ['', ' ', 'x', 'a.b', 'a.b.c', '{}', `${token}.x`, token.replace('.', '..')]) {
      await expectRefusal(text, 'ERR_TOKEN_MALFORMED', 'Invalid Token');
    }
    const nothing = await stores.run('token', 'verify', '-', '--json', { stdin: '' });
    expectRefused(nothing, 'ERR_TOKEN_MALFORMED', 'Invalid Token');
  });

  test('a non-canonical base64url encoding', async () => {
    // 256 bytes leave four bits of the last character unused. This test sets them.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(signature.slice(-1));
    const spelled = `${signature.slice(0, -1)}${alphabet[last + 1]}`;
    expect(Buffer.from(spelled, 'base64url')).toEqual(Buffer.from(signature, 'base64url'));
    await expectRefusal(`${header}.${payload}.${spelled}`, 'ERR_TOKEN_MALFORMED', 'Invalid Token');
    const standard = Buffer.from(signature, 'base64url').toString('base64');
    await expectRefusal(`${header}.${payload}.${standard}`, 'ERR_TOKEN_MALFORMED', 'Invalid Token');
  });

  test('a token without a registry entry', async () => {
    await stores.json('cache', 'flush', '--sub', 'alice', '--yes');
    await expectRefusal(token, 'ERR_TOKEN_NOT_REGISTERED', 'Authorization Failure');
  });

  test('a token whose registry entry has another exp', async () => {
    if (stores.redis === null)
      await stores.query('UPDATE registry_entries SET exp = exp + 1 WHERE jti = ?', [jti]);
    else {
      const { client, prefix } = stores.redis;
      const members = await client.zrange(`${prefix}:{alice}`, '0', '-1');
      await client.zincrby(`${prefix}:{alice}`, 1, members.find((member) => member.endsWith(jti)) as string);
    }
    await expectRefusal(token, 'ERR_REGISTRATION_MISMATCH', 'Authorization Failure');
  });

  test('a token revoked in each possible way', async () => {
    for (const words of [
      [token],
      ['--sub', 'alice', '--jti', jti],
      ['--sub', 'alice', '--all', '--yes'],
      ['--kid', kid, '--yes'],
      ['--issued-before', String(stores.clock.now()), '--yes'],
      ['--sub', 'alice', '--issued-before', String(stores.clock.now()), '--yes'],
    ]) {
      // A revocation covers its whole second, and an issuer waits for the next one.
      const fresh = await stores.json('token', 'issue', '--sub', 'alice');
      const named = words.map((word) => (word === token ? fresh.token : word === jti ? fresh.jti : word));
      const moment = named.indexOf('--issued-before');
      if (moment !== -1) named[moment + 1] = String(stores.clock.now());
      expect((await stores.json('token', 'revoke', ...named)).revoked).toBeGreaterThan(0);
      await expectRefusal(fresh.token, 'ERR_TOKEN_REVOKED', 'Authorization Failure');
    }
    expect(await stores.json('token', 'list', '--sub', 'alice')).toEqual([]);
  });

  test('the token of a disabled user at once, and a revoked one even after the user is enabled', async () => {
    const other = await stores.json('token', 'issue', '--sub', 'alice');
    await stores.json('token', 'revoke', other.token);
    await stores.json('users', 'disable', 'alice', '--reason', 'on leave');
    await expectRefusal(token, 'ERR_USER_DISABLED', 'Authorization Failure');
    expect((await stores.run('token', 'issue', '--sub', 'alice')).exitCode).toBe(3);

    await stores.json('users', 'enable', 'alice');
    expect(await stores.json('token', 'verify', token)).toMatchObject({ active: true });
    await expectRefusal(other.token, 'ERR_TOKEN_REVOKED', 'Authorization Failure');
  });

  test('the token of a removed user, even if a user of the same name is added', async () => {
    await stores.json('users', 'add', 'carol');
    const issued = await stores.json('token', 'issue', '--sub', 'carol');
    await stores.json('users', 'remove', 'carol', '--yes');
    await expectRefusal(issued.token, 'ERR_TOKEN_REVOKED', 'Authorization Failure');
    await stores.json('users', 'add', 'carol');
    await expectRefusal(issued.token, 'ERR_TOKEN_REVOKED', 'Authorization Failure');
    const later = await stores.json('token', 'issue', '--sub', 'carol');
    expect(await stores.json('token', 'verify', later.token)).toMatchObject({ active: true });
  });

  test('a token of a retired key', async () => {
    await stores.json('keys', 'rotate', '--now');
    expect(await stores.json('token', 'verify', token)).toMatchObject({ active: true });
    stores.clock.advance(25 * 3_600);
    expect((await stores.json('keys', 'rotate')).retired).toEqual([kid]);
    await expectRefusal(token, 'ERR_KEY_NOT_TRUSTED', 'Invalid Token');
    expect(await stores.query('SELECT private_key FROM keystore WHERE kid = ?', [kid])).toEqual([
      { private_key: null },
    ]);
  });
});

function expectRefused(result: Awaited<ReturnType<Stores['run']>>, code: string, reason: string) {
  expect({ exitCode: result.exitCode, stderr: result.stderr }).toEqual({ exitCode: 1, stderr: '' });
  expect(result.json()).toEqual({ active: false, error: { code, message: expect.any(String) }, reason });
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decode(part: string): Json {
  return JSON.parse(Buffer.from(part, 'base64url').toString());
}

function signed(privateKey: KeyObject, header: Json, payload: Json): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`;
}
