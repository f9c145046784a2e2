import type { KeyObject } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshJwk, keyOf, pkcs8Of } from '../../../support/private-keys.js';
import { bearer, CLIENT, openServing } from '../../../support/serving.js';
import { signJws } from '../../../support/signing.js';
import { openStores, type Stores } from '../../../support/stores.js';

describe('the typ of tokens', () => {
  let stores: Stores;
  let key: KeyObject;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    key = keyOf(freshJwk());
    await stores.json('keys', 'import', '--pem', '-', '--kid', 'k1', { stdin: pkcs8Of(key) });
    await stores.json('keys', 'activate', 'k1', '--now');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  const AT_JWT = ['--token-type', 'at+jwt'];
  const issue = (...flags: string[]) => stores.json('token', 'issue', '--sub', 'alice', ...flags);

  /** Issues a token, and signs its claims again under another header. Verifiers find it in the registry. */
  async function withTyp(typ: unknown): Promise<string> {
    const { token } = await issue();
    const { header, payload } = await stores.json('token', 'decode', token);
    return signJws({ privateKey: key }, { ...header, typ }, payload);
  }

  test('is JWT by default', async () => {
    const { token } = await issue('--client-id', 'shop');
    const { header, payload } = await stores.json('token', 'decode', token);
    expect(header.typ).toBe('JWT');
    expect(payload.client_id).toBeUndefined();
  });

  test('JWT without a session warns that --client-id has no effect', async () => {
    const warning = 'so --client-id has no effect';
    for (const words of [
      ['--sub', 'alice'],
      ['--sub-file', '-'],
    ]) {
      const run = (...more: string[]) =>
        stores.run('token', 'issue', ...words, '--client-id', 'shop', ...more, { stdin: 'alice\n' });
      expect((await run()).stderr).toContain(warning);
      for (const flags of [['--refresh'], AT_JWT])
        expect((await run(...flags)).stderr).not.toContain(warning);
    }
  });

  test('at+jwt has a client_id (RFC 9068 §2.2)', async () => {
    const { token } = await issue(...AT_JWT, '--client-id', 'shop');
    const { header, payload } = await stores.json('token', 'decode', token);
    expect(header.typ).toBe('at+jwt');
    expect(Object.keys(payload)).toEqual(
      expect.arrayContaining(['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti']),
    );
    expect(payload.client_id).toBe('shop');
    expect((await stores.json('token', 'verify', token)).active).toBe(true);
  });

  test('at+jwt without a client ID is not issued, and no token is registered', async () => {
    const before = await stores.json('token', 'list', '--sub', 'alice');
    for (const words of [
      ['--sub', 'alice'],
      ['--sub', 'alice', '--dry-run'],
      ['--sub-file', '-'],
      ['--sub', 'alice', '--claim', 'client_id=shop'],
    ]) {
      const { exitCode, error } = await stores.run('token', 'issue', ...words, ...AT_JWT, '--json', {
        stdin: 'alice\n',
      });
      expect([exitCode, error().code]).toEqual([2, 'ERR_CLIENT_ID_INVALID']);
    }
    expect(await stores.json('token', 'list', '--sub', 'alice')).toEqual(before);
  });

  test('a claim cannot name another client', async () => {
    const flags = ['--client-id', 'shop', '--claim', 'client_id=other', '--json'];
    for (const type of [[], AT_JWT]) {
      const { exitCode, error } = await stores.run('token', 'issue', '--sub', 'alice', ...flags, ...type);
      expect([exitCode, error().code]).toEqual([2, 'ERR_CLAIM_RESERVED']);
    }
  });

  test('a client of the API issues at+jwt in its own name only', async () => {
    const env = { ...stores.env, JWTCTL_TOKEN_TYPE: 'at+jwt' };
    const serving = await openServing({ ...stores, env });
    const post = (claims: Record<string, unknown>) =>
      serving.app.inject({
        ...{ method: 'POST', url: '/v1/tokens', payload: { sub: 'alice', claims } },
        headers: {
          authorization: `Basic ${Buffer.from(`${CLIENT.id}:${CLIENT.secret}`).toString('base64')}`,
        },
      });
    const issued = await post({});
    expect(issued.statusCode).toBe(201);
    const { header, payload } = await stores.json('token', 'decode', issued.json().token);
    expect([header.typ, payload.client_id]).toEqual(['at+jwt', CLIENT.id]);

    const refused = await post({ client_id: 'another' });
    expect(refused.statusCode).toBe(422);
    expect(refused.json()).toMatchObject({ code: 'ERR_CLAIM_RESERVED', field: 'claims' });
    const { token } = issued.json();
    expect((await serving.app.inject({ url: '/verify', headers: bearer(token) })).statusCode).toBe(200);
    await serving.close();
  });

  test.each([
    'JWT',
    'jwt',
    'application/JWT',
    'at+jwt',
    'AT+JWT',
    'application/at+jwt',
    'Application/AT+jwt',
  ])('a verifier accepts %j (RFC 7515 §4.1.9)', async (typ) => {
    expect((await stores.json('token', 'verify', await withTyp(typ))).active).toBe(true);
  });

  test('a verifier accepts a token without typ', async () => {
    const { token } = await issue();
    const { header, payload } = await stores.json('token', 'decode', token);
    const { typ: _, ...rest } = header;
    const untyped = await signJws({ privateKey: key }, rest, payload);
    expect((await stores.json('token', 'verify', untyped)).active).toBe(true);
  });

  test.each([
    ...['rt+jwt', 'logout+jwt', 'dpop+jwt', 'secevent+jwt', 'text/jwt', 'text/at+jwt', 'application/', ''],
    ...[' JWT', 'JWT ', 'application/application/jwt', 'J\u0000', null, 1, true, ['JWT'], { JWT: true }],
  ])('a verifier refuses %j, in the CLI and in the server', async (typ) => {
    const token = await withTyp(typ);
    const { exitCode, json } = await stores.run('token', 'verify', '--json', '-', { stdin: token });
    expect([exitCode, json().error.code]).toEqual([1, 'ERR_TOKEN_TYPE_REFUSED']);

    const serving = await openServing(stores);
    const answer = await serving.app.inject({ url: '/verify', headers: bearer(token) });
    expect([answer.statusCode, answer.json().error]).toEqual([401, 'Invalid Token']);
    expect(serving.lines().at(-1).code).toBe('ERR_TOKEN_TYPE_REFUSED');
    await serving.close();
  });

  test('token.acceptTypes chooses what a verifier accepts', async () => {
    const only = (types: string, token: string) =>
      stores.run('token', 'verify', '--json', '-', ...AT_JWT, '--token-accept-types', types, {
        stdin: token,
      });
    const plain = (await issue()).token;
    const access = (await issue(...AT_JWT, '--client-id', 'shop')).token;
    expect((await only('at+jwt', access)).exitCode).toBe(0);
    expect((await only('at+jwt', plain)).exitCode).toBe(1);
    expect((await only(' at+jwt , application/DPOP+jwt', await withTyp('dpop+jwt'))).exitCode).toBe(0);
  });

  test('token register refuses a typ that verifiers refuse, and a revocation takes any', async () => {
    const { token } = await issue();
    const { header, payload } = await stores.json('token', 'decode', token);
    const other = await signJws({ privateKey: key }, { ...header, typ: 'dpop+jwt' }, payload);
    const { exitCode, error } = await stores.run('token', 'register', '-', '--json', { stdin: other });
    expect([exitCode, error().code]).toEqual([1, 'ERR_TOKEN_TYPE_REFUSED']);
    expect((await stores.run('token', 'revoke', '-', { stdin: other })).exitCode).toBe(0);
    expect((await stores.run('token', 'verify', '-', { stdin: token })).exitCode).toBe(1);
  });

  test.each([
    [['--token-type', 'at+jwt', '--token-accept-types', 'JWT'], 'does not include it'],
    [['--token-accept-types', ','], 'types separated by commas'],
    [['--token-accept-types', 'JWT,a b'], 'types separated by commas'],
    [['--token-type', 'JWE'], 'one of JWT, at+jwt'],
  ])('the configuration %j is refused', async (flags, message) => {
    const { exitCode, error } = await stores.run('keys', 'list', '--json', ...flags);
    expect(exitCode).toBe(2);
    expect(error().message).toContain(message);
  });
});
