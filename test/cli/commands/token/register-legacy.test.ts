import { createHmac, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { legacyId } from '../../../../src/domain/model/legacy-id.js';
import { setOf } from '../../../support/planted-entries.js';
import { freshJwk, keyOf, pkcs8Of, writeKeyFile } from '../../../support/private-keys.js';
import { openServing, type Serving } from '../../../support/serving.js';
import { encodePart, rsaPair, signJws } from '../../../support/signing.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

describe.each(BACKENDS)('token register --legacy, on %s', (backend) => {
  let stores: Stores;
  let key: KeyObject;
  let serving: Serving;
  let serial = 0;

  beforeAll(async () => {
    stores = await openStores(backend, { JWTCTL_TOKEN_ACCEPT_LEGACY: '2999-12-31' });
    key = keyOf(freshJwk());
    const pem = writeKeyFile(stores.home, 'theirs.pem', pkcs8Of(key));
    await stores.json('keys', 'import', '--pem', pem, '--kid', 'theirs');
    const subs = ['alice', 'bob', '3', ...Array.from({ length: 20 }, (_, index) => `u-${index}`)];
    const lines = subs.map((sub) => JSON.stringify({ sub })).join('\n');
    await stores.json('users', 'import', '-', { stdin: lines });
    // The imported key is retiring for the tests, as a key that only verifies is.
    await stores.json('keys', 'generate', '--kid', 'ours');
    await stores.json('keys', 'rotate', '--now');
    serving = await openServing(stores);
  });
  afterAll(async () => {
    await serving?.close();
    await stores?.close();
  });

  function claims(parts: Record<string, unknown> = {}): Record<string, unknown> {
    serial += 1;
    return { sub: 'alice', exp: stores.clock.now() + 600, serial, ...parts };
  }

  function legacyToken(parts: Record<string, unknown> = {}, header: Record<string, unknown> = {}) {
    return signJws({ privateKey: key }, { alg: 'RS256', typ: 'JWT', ...header }, claims(parts));
  }

  function register(token: string, ...words: string[]) {
    return stores.json('token', 'register', '--legacy', '-', ...words, { stdin: token });
  }

  async function registered(parts: Record<string, unknown> = {}, header: Record<string, unknown> = {}) {
    const token = await legacyToken(parts, header);
    await register(token);
    return token;
  }

  async function refusal(token: string, ...words: string[]) {
    const { exitCode, error } = await stores.run('token', 'register', '-', ...words, '--json', {
      stdin: token,
    });
    expect(exitCode).toBe(1);
    return error();
  }

  /** The verdicts of a new process and of a running one. */
  async function verdicts(token: string): Promise<[once: string, live: string]> {
    const { exitCode, json } = await stores.run('token', 'verify', '-', '--json', { stdin: token });
    const live = await serving.verifier.verify(token);
    return [exitCode === 0 ? 'active' : json().error.code, live.active ? 'active' : live.error.code];
  }

  const both = (code: string) => [code, code];

  function idOf(token: string): string {
    return legacyId(token.split('.').slice(0, 2).join('.'));
  }

  test('token explain finds the entry and the revocation of a token with a jti of its own', async () => {
    const token = await registered({ jti: 'theirs' });
    const id = idOf(token);
    const accepted = await stores.json('token', 'explain', '-', { stdin: token });
    expect(accepted).toMatchObject({
      kid: 'theirs',
      registry: { jti: id, entry: { exp: expect.any(Number) } },
    });
    await stores.json('token', 'revoke', '-', '--actor', 'bob', { stdin: token });
    const result = await stores.run('token', 'explain', '-', '--json', { stdin: token });
    expect(result.exitCode).toBe(1);
    expect(result.json()).toMatchObject({
      error: { code: 'ERR_TOKEN_REVOKED' },
      registry: { jti: id, entry: null, revocations: [{ type: 'token_revoked', origin: { actor: 'bob' } }] },
    });
  });

  describe('takes', () => {
    test.each([
      ['no kid, jti, iat, iss, or aud', {}, {}],
      ['no kid only', { iss: 'jwtctl', aud: 'user', iat: 1_700_000_000, jti: 'theirs' }, {}],
      ['no jti only', { iss: 'jwtctl', aud: 'user', iat: 1_700_000_000 }, { kid: 'theirs' }],
      ['no aud only', { iss: 'jwtctl', iat: 1_700_000_000, jti: 'j' }, { kid: 'theirs' }],
      ['null instead of claims', { iss: null, aud: null, iat: null, jti: null, nbf: null }, { kid: null }],
      ['a kid that no key has', {}, { kid: 'of another program' }],
      ['a jti that is a number', { jti: 42 }, {}],
      ['a fractional exp and iat', { exp: 32_503_680_000.75, iat: 1_700_000_000.25 }, {}],
    ])('a token with %s', async (_, parts, header) => {
      const usual = 'exp' in parts ? { exp: stores.clock.now() + 600.75 } : {};
      const token = await legacyToken({ ...parts, ...usual }, header);
      const entry = await register(token);
      expect(entry).toMatchObject({ jti: idOf(token), kid: 'theirs', sub: 'alice' });
      const { iat } = parts as { iat?: unknown };
      const ownIat = typeof iat === 'number' ? Math.ceil(iat) : stores.clock.now();
      expect(entry.iat).toBe(ownIat);
      expect(Number.isInteger(entry.exp)).toBe(true);
      expect(await verdicts(token)).toEqual(both('active'));
      const { payload } = await stores.json('token', 'verify', '-', { stdin: token });
      expect(payload).toMatchObject({ sub: 'alice', jti: idOf(token), iat: ownIat, exp: entry.exp });
      expect(await serving.verifier.verify(token)).toMatchObject({ payload });
    });

    test('an integer sub as a string', async () => {
      const token = await registered({ sub: 3 });
      expect(await verdicts(token)).toEqual(both('active'));
      expect(await serving.verifier.verify(token)).toMatchObject({ payload: { sub: '3' } });
      expect(await stores.json('token', 'list', '--sub', '3')).toMatchObject([{ jti: idOf(token) }]);
    });

    test('a complete token as without --legacy', async () => {
      const iat = stores.clock.now();
      const token = await legacyToken(
        { iss: 'jwtctl', aud: 'user', iat, jti: 'complete' },
        { kid: 'theirs' },
      );
      expect(await register(token)).toMatchObject({ jti: 'complete' });
      expect(await verdicts(token)).toEqual(both('active'));
    });

    test('the same token again, without a change', async () => {
      const token = await legacyToken();
      const first = await register(token);
      stores.clock.advance(2);
      expect(await register(token)).toEqual(first);
    });

    test('many tokens of a file, and lists those that it cannot take', async () => {
      const tokens = await Promise.all(
        Array.from({ length: 20 }, (_, index) => legacyToken({ sub: `u-${index}`, role: 'reader' })),
      );
      const file = join(stores.home, 'tokens.txt');
      writeFileSync(file, [...tokens, await legacyToken({ exp: undefined })].join('\n'));
      const refused = await stores.run('token', 'register', '--token-file', file);
      expect(refused.exitCode).toBe(5);
      expect(refused.stderr).toContain('with --legacy');
      const { exitCode, stderr, lines } = await stores.run(
        'token',
        'register',
        '--legacy',
        '--token-file',
        file,
      );
      expect(exitCode).toBe(5);
      expect(lines()).toHaveLength(20);
      expect(stderr).toContain("The token's exp is missing; expected a NumericDate in seconds.");
      for (const token of tokens) expect(await verdicts(token)).toEqual(both('active'));
    });
  });

  describe('refuses', () => {
    test.each([
      ['without --legacy, with a hint', [], {}, {}, 'ERR_KEY_UNKNOWN', /kid of the JOSE Header is missing/],
      [
        'without --legacy, with a hint',
        [],
        { iss: 'jwtctl', aud: 'user', iat: 1, jti: 'j', sub: 3 },
        { kid: 'theirs' },
        'ERR_CLAIM_INVALID',
        /sub is a number \(3\); expected a string\./,
      ],
    ])('a token %s', async (_, words, parts, header, code, message) => {
      const token = await legacyToken(parts, header);
      const error = await refusal(token, ...words);
      expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
      expect(error.hint).toContain('--legacy');
    });

    test.each([
      ['a wrong iss', { iss: 'other' }, 'ERR_ISSUER_MISMATCH', /iss/],
      ['a wrong aud', { aud: 'other' }, 'ERR_AUDIENCE_MISMATCH', /aud/],
      ['no exp', { exp: undefined }, 'ERR_CLAIM_INVALID', /exp is missing/],
      ['a null exp', { exp: null }, 'ERR_CLAIM_INVALID', /exp is null/],
      ['a past exp', { exp: 1_700_000_000 }, 'ERR_TOKEN_EXPIRED', /exp 1700000000/],
      [
        'an exp in milliseconds',
        { exp: 1_796_006_897_000 },
        'ERR_CLAIM_INVALID',
        /exp is 1796006897000, which looks like milliseconds; expected seconds/,
      ],
      ['an iat in milliseconds', { iat: 1_796_006_897_000 }, 'ERR_CLAIM_INVALID', /iat is .* milliseconds/],
      ['a sub that is not an integer', { sub: 3.5 }, 'ERR_CLAIM_INVALID', /sub is a number \(3\.5\)/],
      ['a sub that JSON cannot hold exactly', { sub: 2 ** 60 }, 'ERR_CLAIM_INVALID', /sub is a number/],
      ['a sub that is an object', { sub: { id: 3 } }, 'ERR_CLAIM_INVALID', /sub is an object/],
      ['no sub', { sub: undefined }, 'ERR_CLAIM_INVALID', /sub is missing/],
      ['an unknown user', { sub: 'unknown' }, 'ERR_USER_UNKNOWN', /does not exist/],
    ])('%s', async (_, parts, code, message) => {
      expect(await refusal(await legacyToken(parts), '--legacy')).toMatchObject({
        ...{ code, message: expect.stringMatching(message) },
      });
    });

    test('a signature of another key, even under our kid', async () => {
      const other = rsaPair();
      for (const [kid, code] of [
        [undefined, 'ERR_SIGNATURE_INVALID'],
        ['theirs', 'ERR_SIGNATURE_INVALID'],
      ]) {
        const token = await signJws(other, { alg: 'RS256', kid }, claims());
        expect((await refusal(token, '--legacy')).code).toBe(code);
      }
    });

    test('a signature of a key other than the one that its kid names', async () => {
      expect((await refusal(await legacyToken({}, { kid: 'ours' }), '--legacy')).code).toBe(
        'ERR_SIGNATURE_INVALID',
      );
    });

    test('an alg that no key has, and one that is no RSA signature', async () => {
      const other = await signJws({ privateKey: key }, { alg: 'RS512' }, claims(), 'RS512');
      expect((await refusal(other, '--legacy')).code).toBe('ERR_KEY_UNKNOWN');
      expect((await refusal(hmacToken(), '--legacy')).code).toBe('ERR_ALG_NOT_ALLOWED');
      const none = `${encodePart({ alg: 'none' })}.${encodePart(claims())}.`;
      expect((await refusal(none, '--legacy')).code).toBe('ERR_ALG_NOT_ALLOWED');
    });

    test('a token that may have been issued before a revocation', async () => {
      await stores.json('token', 'revoke', '--sub', 'u-19', '--all', '--yes');
      stores.clock.advance(2);
      const error = await refusal(await legacyToken({ sub: 'u-19' }), '--legacy');
      expect(error).toMatchObject({ code: 'ERR_TOKEN_REVOKED', message: expect.stringContaining('no iat') });
      await registered({ sub: 'u-19', iat: stores.clock.now() });
    });

    test('a token that was revoked, also by its text', async () => {
      const token = await registered();
      expect(await stores.json('token', 'revoke', '-', { stdin: token })).toMatchObject({ revoked: 1 });
      expect((await refusal(token, '--legacy')).code).toBe('ERR_TOKEN_REVOKED');
    });
  });

  /** Signed with the public key as an HMAC secret. */
  function hmacToken(): string {
    const input = `${encodePart({ alg: 'HS256' })}.${encodePart(claims())}`;
    const secret = pkcs8Of(key);
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  }

  describe('verification', () => {
    test('accepts no forged token', async () => {
      const token = await registered();
      const [header, payload, signature] = token.split('.') as [string, string, string];
      const decoded = JSON.parse(Buffer.from(payload, 'base64url').toString());
      const other = await registered({ sub: 'bob' });
      const unknown = rsaPair();
      const forged: Array<[string, string]> = [
        ['ERR_TOKEN_NOT_REGISTERED', `${header}.${encodePart({ ...decoded, admin: true })}.${signature}`],
        ['ERR_TOKEN_NOT_REGISTERED', await signJws(unknown, { alg: 'RS256' }, decoded)],
        ['ERR_SIGNATURE_INVALID', `${header}.${payload}.${other.split('.')[2]}`],
        ['ERR_SIGNATURE_INVALID', `${header}.${payload}.${(await signJws(unknown, '', '')).split('.')[2]}`],
        ['ERR_ALG_NOT_ALLOWED', hmacToken()],
        ['ERR_ALG_NOT_ALLOWED', `${encodePart({ alg: 'none' })}.${payload}.`],
        ['ERR_TOKEN_MALFORMED', await legacyToken({}, { crit: ['exp'], exp: 1 })],
        ['ERR_TOKEN_NOT_REGISTERED', await legacyToken({ ...decoded, jti: idOf(token) })],
        ['ERR_CLAIM_INVALID', await legacyToken(completeClaims({ jti: idOf(token) }), { kid: 'theirs' })],
      ];
      for (const [code, one] of forged) {
        expect(await verdicts(one)).toEqual(both(code));
      }
      expect(await verdicts(token)).toEqual(both('active'));
    });

    function completeClaims(parts: Record<string, unknown>) {
      return { iss: 'jwtctl', aud: 'user', iat: stores.clock.now(), ...parts };
    }

    test('reads duplicate members in the same way as the registration', async () => {
      const exp = stores.clock.now() + 600;
      const token = await signJws(
        { privateKey: key },
        '{"alg":"HS256","alg":"RS256"}',
        `{"sub":"bob","exp":1,"sub":"alice","exp":${exp}}`,
      );
      await register(token);
      expect(await serving.verifier.verify(token)).toMatchObject({ active: true, payload: { sub: 'alice' } });
      expect(await verdicts(token)).toEqual(both('active'));
    });

    test('refuses a token whose entry names another key, or is damaged', async () => {
      const tokens = [await registered(), await registered(), await registered(), await registered()];
      const [otherKey, unknownKey, otherIat, damaged] = tokens as [string, string, string, string];
      const ids = Object.fromEntries(
        (await stores.query('SELECT id, kid FROM keystore')).map(({ id, kid }) => [String(kid), Number(id)]),
      );
      const withIat = await registered({ iat: stores.clock.now() - 5 });
      await damage(otherKey, ids.ours ?? 0, stores.clock.now());
      await damage(unknownKey, 12_345, stores.clock.now());
      await damage(withIat, ids.theirs ?? 0, stores.clock.now() - 400);
      await damage(damaged, null, null);
      expect((await verdicts(otherKey))[0]).toBe('ERR_SIGNATURE_INVALID');
      expect((await verdicts(withIat))[0]).toBe('ERR_REGISTRATION_MISMATCH');
      expect((await verdicts(damaged))[0]).toBe('ERR_TOKEN_NOT_REGISTERED');
      expect((await verdicts(unknownKey))[0]).toBe('ERR_KEY_UNKNOWN');
      expect(await verdicts(otherIat)).toEqual(both('active'));
      await register(damaged);
      expect((await verdicts(damaged))[0]).toBe('active');
      await stores.json('cache', 'flush', '--sub', 'alice', '--yes');
    });

    /** Overwrites what the entry stores; with null, removes it. */
    async function damage(token: string, keyId: number | null, iat: number | null): Promise<void> {
      const id = idOf(token);
      if (stores.redis === null) {
        const where = `WHERE jti = '${id}'`;
        await stores.query(
          keyId === null
            ? `DELETE FROM registry_entries ${where}`
            : `UPDATE registry_entries SET key_id = ${keyId}, iat = ${iat} ${where}`,
        );
        return;
      }
      const { client } = stores.redis;
      const meta = `${setOf(stores, 'alice')}:meta`;
      if (keyId === null || iat === null) await client.hset(meta, id, 'not.VALID');
      else await client.hset(meta, id, `${keyId.toString(36)}.${iat.toString(36)}`);
    }

    test('ends with the entry, the user, and the revocations of the subject, the key, and a time', async () => {
      const [byToken, byId, byFlush, byUser, last] = await Promise.all(
        ['u-0', 'u-1', 'u-2', 'u-3', 'u-4'].map((sub) => registered({ sub })),
      );
      for (const token of [byToken, byId, byFlush, byUser, last])
        expect(await verdicts(token as string)).toEqual(both('active'));
      await stores.json('token', 'revoke', '-', { stdin: byToken as string });
      await stores.json('token', 'revoke', '--sub', 'u-1', '--jti', idOf(byId as string));
      await stores.json('cache', 'flush', '--sub', 'u-2', '--yes');
      await stores.json('users', 'disable', 'u-3');
      stores.clock.advance(1);
      const now = String(stores.clock.now());
      await stores.json('token', 'revoke', '--sub', 'u-4', '--issued-before', now, '--yes');
      await serving.verifier.verify('x');
      const codes = await Promise.all(
        [byToken, byId, byFlush, byUser, last].map((one) => once(one as string)),
      );
      expect(codes).toEqual([
        ...['ERR_TOKEN_REVOKED', 'ERR_TOKEN_REVOKED', 'ERR_TOKEN_NOT_REGISTERED', 'ERR_USER_DISABLED'],
        'ERR_TOKEN_NOT_REGISTERED',
      ]);
    });

    /** Puts an entry back that was removed, as if the token had been registered a day from now. */
    async function bringBack(sub: string, token: string, exp: number): Promise<void> {
      const id = idOf(token);
      const iat = stores.clock.now() + 86_400;
      const [row] = await stores.query("SELECT id FROM keystore WHERE kid = 'theirs'");
      if (stores.redis === null) {
        await stores.query(
          'INSERT INTO registry_entries (sub, jti, key_id, iat, exp) VALUES (?, ?, ?, ?, ?)',
          [sub, id, String(row?.id), String(iat), String(exp)],
        );
        return;
      }
      const { client } = stores.redis;
      await client.zadd(setOf(stores, sub), exp, id);
      const facts = `${Number(row?.id).toString(36)}.${iat.toString(36)}`;
      await client.hset(`${setOf(stores, sub)}:meta`, id, facts);
    }

    test('does not wait for the keys if its kid is unknown, however many come at once', async () => {
      const header = { kid: 'of another program' };
      const tokens = await Promise.all(
        Array.from({ length: 40 }, (_, index) => registered({ sub: `u-${7 + (index % 10)}` }, header)),
      );
      const { verifier, close } = await openServing(stores);
      try {
        const results = await Promise.all(tokens.map((token) => verifier.verify(token)));
        expect(results.filter(({ active }) => active)).toHaveLength(40);
      } finally {
        await close();
      }
    });

    test('stays revoked if its entry comes back with a later time', async () => {
      const token = await registered({ sub: 'u-18' });
      expect(await verdicts(token)).toEqual(both('active'));
      await stores.json('token', 'revoke', '--sub', 'u-18', '--all', '--yes');
      await bringBack('u-18', token, stores.clock.now() + 600);
      stores.clock.advance(1);
      await expect.poll(() => verdicts(token)).toEqual(both('ERR_TOKEN_REVOKED'));
    });

    async function once(token: string): Promise<string> {
      const { exitCode, json } = await stores.run('token', 'verify', '-', '--json', { stdin: token });
      return exitCode === 0 ? 'active' : json().error.code;
    }

    test('goes through a backup', async () => {
      const token = await registered({ sub: 'u-5' });
      const file = join(stores.home, 'backup.jwe');
      await stores.json('cache', 'flush', '--sub', 'u-5', '--backup', file, '--yes');
      expect(await once(token)).toBe('ERR_TOKEN_NOT_REGISTERED');
      expect(await stores.json('cache', 'restore', file)).toMatchObject({ restored: 2, complete: true });
      expect(await verdicts(token)).toEqual(both('active'));
      expect(await stores.json('cache', 'reconcile')).toMatchObject({ dropped: { keyNotTrusted: 0 } });
      expect(await verdicts(token)).toEqual(both('active'));
    });

    test('is counted under its key', async () => {
      const { byKid, anomalies } = await stores.json('cache', 'inspect', '--deep');
      expect(byKid.map(({ kid }: { kid: string }) => kid)).toEqual(['theirs']);
      expect(anomalies).toMatchObject({ malformed: 0, unknownKid: 0, ttlMismatch: 0 });
      expect((await stores.json('cache', 'inspect', '--kid', 'ours')).entries).toBe(0);
    });

    test('is refused if token.acceptLegacy is unset or over', async () => {
      const token = await registered({ sub: 'u-6' });
      for (const date of [undefined, '2020-01-01', String(stores.clock.now())]) {
        const env: Record<string, string> = { ...stores.env, JWTCTL_TOKEN_ACCEPT_LEGACY: date ?? '' };
        if (date === undefined) delete env.JWTCTL_TOKEN_ACCEPT_LEGACY;
        const without = await openServing({ ...stores, env });
        const result = await without.verifier.verify(token);
        await without.close();
        expect(result).toMatchObject({ error: { code: 'ERR_KEY_UNKNOWN' } });
      }
    });

    test('the server counts it, and passes its subject and id on', async () => {
      const token = await registered({ sub: 3 });
      const request = () =>
        serving.app.inject({ url: '/verify', headers: { authorization: `Bearer ${token}` } });
      const { statusCode, headers } = await request();
      expect(statusCode).toBe(200);
      expect(headers).toMatchObject({ 'x-auth-subject': '3', 'x-auth-jti': idOf(token) });
      await request();
      const { body } = await serving.app.inject('/metrics');
      expect(body).toContain('jwtctl_legacy_verifications_total 2');
    });

    test('ends when its key is compromised', async () => {
      const token = await registered({ sub: 'u-7' });
      expect(await verdicts(token)).toEqual(both('active'));
      const report = await stores.json('keys', 'compromise', 'theirs', '--reason', 'leaked', '--yes');
      expect(report).toMatchObject({ entries: { after: 0 }, complete: true });
      expect(report.entries.removed).toBeGreaterThan(0);
      expect(await once(token)).toBe('ERR_TOKEN_NOT_REGISTERED');
      expect((await refusal(token, '--legacy')).code).toBe('ERR_KEY_NOT_TRUSTED');
    });
  });
});
