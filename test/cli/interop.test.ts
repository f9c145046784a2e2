import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { spawnProgram } from '../support/spawned.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

// Debian's python3-jwt is for the system's Python. `npm test` sets another one if that is missing.
const PYTHON = process.env.JWTCTL_TEST_PYTHON ?? '/usr/bin/python3';

/** An independent verifier, which knows only the JWK Set, the issuer, and the audience. */
const PYJWT = `
import json, sys, jwt
keys = jwt.PyJWKSet.from_json(open(sys.argv[1]).read())
token = sys.stdin.read().strip()
kid = jwt.get_unverified_header(token)["kid"]
key = next(key for key in keys.keys if key.key_id == kid)
algorithms = [sys.argv[2]]
claims = jwt.decode(token, key.key, algorithms=algorithms, audience="user", issuer="jwtctl",
                    options={"require": ["exp", "iat", "iss", "sub", "aud", "jti"]})
print(json.dumps(claims))
`;

describe.each(BACKENDS)('tokens and keys from %s, verified by other programs', (backend) => {
  let stores: Stores;
  let activeKid = '';
  let retiringKid = '';
  let token = '';
  let oldToken = '';

  beforeAll(async () => {
    stores = await openStores(backend);
    retiringKid = (await stores.json('keys', 'generate')).kid;
    await stores.json('users', 'add', 'Zoë');
    oldToken = (await stores.json('token', 'issue', '--sub', 'Zoë')).token;
    activeKid = (await stores.json('keys', 'rotate', '--now')).active;
    token = (await stores.json('token', 'issue', '--sub', 'Zoë', '--claim', 'role=admin')).token;
  });
  afterAll(() => stores?.close());

  async function pyjwt(candidate: string, alg = 'RS256') {
    const file = join(stores.home, 'jwks.json');
    writeFileSync(file, (await stores.run('keys', 'export', '--jwks')).stdout);
    return spawnProgram(PYTHON, ['-c', PYJWT, file, alg], { stdin: candidate });
  }

  async function openssl(candidate: string, kid: string) {
    const [header, payload, signature] = candidate.split('.') as [string, string, string];
    const [pem, sig] = [join(stores.home, 'key.pem'), join(stores.home, 'signature')];
    writeFileSync(pem, (await stores.run('keys', 'export', '--kid', kid, '--pem')).stdout);
    writeFileSync(sig, Buffer.from(signature, 'base64url'));
    const words = ['dgst', '-sha256', '-verify', pem, '-signature', sig];
    return spawnProgram('openssl', words, {
      stdin: `${header}.${payload}`,
      env: { PATH: String(process.env.PATH) },
    });
  }

  test('PyJWT verifies a token with the exported JWK Set', async () => {
    const { exitCode, stdout, stderr } = await pyjwt(token);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ iss: 'jwtctl', sub: 'Zoë', aud: 'user', role: 'admin' });
    expect((await pyjwt(oldToken)).exitCode).toBe(0);
  });

  test('PyJWT refuses a changed token', async () => {
    const [header, , signature] = token.split('.');
    const payload = Buffer.from(JSON.stringify({ sub: 'mallory' })).toString('base64url');
    const { exitCode, stderr } = await pyjwt(`${header}.${payload}.${signature}`);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('InvalidSignatureError');
  });

  test('OpenSSL verifies the signature with the exported PEM', async () => {
    expect(await openssl(token, activeKid)).toMatchObject({ exitCode: 0, stdout: 'Verified OK\n' });
    expect(await openssl(oldToken, retiringKid)).toMatchObject({ exitCode: 0 });
    expect((await openssl(token, retiringKid)).exitCode).toBe(1);
  });

  test('PyJWT verifies a token under PS256', async () => {
    const { kid } = await stores.json('keys', 'generate', '--alg', 'PS256', '--kid', 'pss');
    // Rotations activate pending keys in turn, oldest first.
    let active = '';
    while (active !== kid) active = (await stores.json('keys', 'rotate', '--now')).active;
    const issued = await stores.json('token', 'issue', '--sub', 'Zoë');
    const { exitCode, stderr } = await pyjwt(issued.token, 'PS256');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  test('the JWK Set contains only public members of pending, active, and retiring keys', async () => {
    stores.clock.advance(26 * 3_600);
    await stores.json('keys', 'rotate', '--now');
    const states = new Map<string, string>(
      (await stores.json('keys', 'list')).map((key: { kid: string; state: string }) => [key.kid, key.state]),
    );
    const text = (await stores.run('keys', 'export')).stdout;
    const set = JSON.parse(text);

    expect(text).toBe((await stores.run('keys', 'export', '--jwks')).stdout);
    expect(await stores.json('keys', 'export')).toEqual(set);
    expect(Object.keys(set)).toEqual(['keys']);
    for (const jwk of set.keys) {
      expect(Object.keys(jwk).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
      expect(jwk).toMatchObject({ kty: 'RSA', use: 'sig', e: 'AQAB' });
    }
    const published = set.keys.map((jwk: { kid: string }) => jwk.kid);
    expect(published.sort()).toEqual(
      [...states.keys()].filter((kid) => states.get(kid) !== 'retired').sort(),
    );
    expect([...new Set(states.values())].sort()).toEqual(['active', 'pending', 'retired', 'retiring']);
    expect(states.get(retiringKid)).toBe('retired');
  });
});
