import type { KeyObject } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { legacyId } from '../../../../src/domain/model/legacy-id.js';
import { freshJwk, keyOf, pkcs8Of, writeKeyFile } from '../../../support/private-keys.js';
import { signJws } from '../../../support/signing.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

describe.each(BACKENDS)('token explain with legacy tokens, on %s', (backend) => {
  let stores: Stores;
  let key: KeyObject;
  let serial = 0;

  beforeAll(async () => {
    stores = await openStores(backend, { JWTCTL_TOKEN_ACCEPT_LEGACY: '2999-12-31' });
    key = keyOf(freshJwk());
    const pem = writeKeyFile(stores.home, 'theirs.pem', pkcs8Of(key));
    await stores.json('keys', 'import', '--pem', pem, '--kid', 'theirs');
    for (const sub of ['alice', '3']) await stores.json('users', 'add', sub);
  });
  afterAll(() => stores?.close());

  async function registered(parts: Record<string, unknown> = {}, header: Record<string, unknown> = {}) {
    serial += 1;
    const claims = { sub: 'alice', exp: stores.clock.now() + 600, serial, ...parts };
    const token = await signJws({ privateKey: key }, { alg: 'RS256', ...header }, claims);
    await stores.json('token', 'register', '--legacy', '-', { stdin: token });
    return token;
  }

  async function explain(token: string) {
    const result = await stores.run('token', 'explain', '-', '--json', { stdin: token });
    const verified = await stores.run('token', 'verify', '-', '--json', { stdin: token });
    expect(result.exitCode).toBe(verified.exitCode);
    const explained = result.json();
    const checks = Object.values<{ verdict: string; errors: Array<{ code: string }> }>(explained.checks);
    const codes = checks.flatMap(({ errors }) => errors.map(({ code }) => code));
    return { ...explained, verdicts: checks.map(({ verdict }) => verdict).join(' '), codes };
  }

  const revoke = (token: string) => stores.json('token', 'revoke', '-', '--actor', 'bob', { stdin: token });
  const idOf = (token: string) => legacyId(token.split('.').slice(0, 2).join('.'));
  const withAcceptance = async <T>(until: string, work: () => Promise<T>) => {
    const usual = stores.env.JWTCTL_TOKEN_ACCEPT_LEGACY ?? '';
    stores.env.JWTCTL_TOKEN_ACCEPT_LEGACY = until;
    return work().finally(() => {
      stores.env.JWTCTL_TOKEN_ACCEPT_LEGACY = usual;
    });
  };

  test('holds an expired one only to the claims that it needs', async () => {
    const token = await registered();
    stores.clock.advance(601 + 60);
    const { codes } = await explain(token);
    expect(codes).toEqual(['ERR_TOKEN_EXPIRED', 'ERR_TOKEN_NOT_REGISTERED']);
  });

  test('names every claim of one that is wrong', async () => {
    const token = await signJws(
      { privateKey: key },
      { alg: 'RS256' },
      { sub: 'alice', exp: stores.clock.now() - 600, iss: 'another', aud: 'another' },
    );
    const { checks } = await explain(token);
    const codes = checks.claims.errors.map(({ code }: { code: string }) => code);
    expect(codes).toEqual(['ERR_TOKEN_EXPIRED', 'ERR_ISSUER_MISMATCH', 'ERR_AUDIENCE_MISMATCH']);
  });

  test.each([
    ['an integer sub', { sub: 3 }, {}, '3'],
    ['a kid and no iss', { iat: 1_700_000_000, aud: 'user', jti: 'own' }, { kid: 'theirs' }, 'alice'],
  ])(
    'checks the signature of a revoked one with %s, and shows who revoked it',
    async (_, parts, header, sub) => {
      const token = await registered(parts, header);
      expect(await explain(token)).toMatchObject({ verdicts: 'passed passed passed passed' });
      await revoke(token);
      const explained = await explain(token);
      expect(explained).toMatchObject({
        verdicts: 'passed passed refused passed',
        codes: ['ERR_TOKEN_REVOKED'],
        contents: { verified: true },
        key: { kid: 'theirs' },
        registry: { jti: idOf(token), revocations: [{ type: 'token_revoked', origin: { actor: 'bob' } }] },
        user: { sub, status: 'enabled' },
      });
    },
  );

  test('shows the signature of a changed one as invalid', async () => {
    const token = await registered({}, { kid: 'theirs' });
    const [header, , signature] = token.split('.');
    const payload = Buffer.from(
      JSON.stringify({ sub: 'alice', exp: stores.clock.now() + 600, role: 'admin' }),
    );
    const explained = await explain(`${header}.${payload.toString('base64url')}.${signature}`);
    expect(explained.verdicts).toBe('refused passed refused passed');
    expect(explained.contents.verified).toBe(false);
  });

  test('finds the entry of one that is no longer accepted', async () => {
    const token = await registered({ jti: 'own' });
    await withAcceptance('2020-01-01', async () => {
      const explained = await explain(token);
      expect(explained).toMatchObject({
        verdicts: 'refused passed passed passed',
        codes: ['ERR_KEY_UNKNOWN'],
      });
      expect(explained.registry).toMatchObject({ jti: idOf(token), entry: { exp: expect.any(Number) } });
    });
  });

  test.each(['2020-01-01', '2999-12-31'])(
    'finds the revocation of an own token whose key was purged, with token.acceptLegacy %s',
    async (until) => {
      const { kid } = await stores.json('keys', 'generate');
      await stores.json('keys', 'activate', kid, '--now');
      const { token, jti } = await stores.json('token', 'issue', '--sub', 'alice');
      await revoke(token);
      await stores.json('keys', 'generate');
      await stores.json('keys', 'rotate', '--now');
      await stores.json('keys', 'retire', kid, '--force', '--yes');
      await stores.json('keys', 'purge', '--yes', '--actor', 'dave');
      await withAcceptance(until, async () => {
        const { registry } = await explain(token);
        const origins = registry.revocations.map(
          ({ type, origin }: { type: string; origin: { actor: string } }) => [type, origin.actor],
        );
        expect(registry.jti).toBe(jti);
        expect(origins).toEqual([
          ['kid_revoked', 'dave'],
          ['token_revoked', 'bob'],
        ]);
      });
    },
  );
});
