import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Context } from '../../src/app/context.js';
import type { JwtctlError } from '../../src/domain/shared/errors.js';
import type { LiveVerifier } from '../../src/verifier/live-verifier.js';
import { openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { inBackground, openContext } from '../support/opened-context.js';
import { freshPair, pkcs8Of, writeKeyFile } from '../support/private-keys.js';
import { rsaPair, signJws } from '../support/signing.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

describe.each(BACKENDS)('a running verifier and legacy tokens, on %s', (backend) => {
  let stores: Stores;
  let context: Context;
  const key = freshPair();
  const verifiers: LiveVerifier[] = [];
  let serial = 0;

  beforeAll(async () => {
    stores = await openStores(backend, { JWTCTL_TOKEN_ACCEPT_LEGACY: '2999-12-31' });
    const pem = writeKeyFile(stores.home, 'theirs.pem', pkcs8Of(key));
    await stores.json('keys', 'import', '--pem', pem, '--kid', 'theirs');
    await stores.json('users', 'add', 'alice');
    context = await openContext({ ...stores, clock: inBackground(stores.clock) });
  });
  afterAll(async () => {
    for (const verifier of verifiers) await verifier.close();
    await context?.dispose();
    await stores?.close();
  });

  async function open(nearCache: boolean, acceptLegacy?: number): Promise<LiveVerifier> {
    const { token, ...others } = context.settings;
    const settings = { ...others, token: { ...token, acceptLegacy: acceptLegacy ?? token.acceptLegacy } };
    const verifier = await openLiveVerifier({ ...context, settings }, { nearCache });
    verifiers.push(verifier);
    return verifier;
  }

  async function registered(): Promise<string> {
    serial += 1;
    const claims = { sub: 'alice', exp: stores.clock.now() + 600, serial };
    const token = await signJws({ privateKey: key }, { alg: 'RS256' }, claims);
    await stores.json('token', 'register', '--legacy', '-', { stdin: token });
    return token;
  }

  async function verdict(verifier: LiveVerifier, token: string): Promise<string> {
    try {
      const result = await verifier.verify(token);
      return result.active ? 'active' : result.error.code;
    } catch (error) {
      return (error as JwtctlError).code;
    }
  }

  test.each([false, true])('with nearCache %s, a removal and a revocation take effect', async (nearCache) => {
    const verifier = await open(nearCache);
    const [removed, revoked, kept] = [await registered(), await registered(), await registered()];
    for (const token of [removed, revoked, kept, removed, revoked, kept])
      expect(await verdict(verifier, token)).toBe('active');
    const [first] = await stores.json('token', 'list', '--sub', 'alice');
    expect(first.jti).toMatch(/^legacy\./);
    await stores.json('token', 'revoke', '-', { stdin: revoked });
    await expect.poll(() => verdict(verifier, revoked)).toMatch(/ERR_TOKEN_(REVOKED|NOT_REGISTERED)/);
    expect(await verdict(verifier, kept)).toBe('active');
    await stores.json('cache', 'flush', '--sub', 'alice', '--yes');
    await expect.poll(() => verdict(verifier, removed)).toBe('ERR_TOKEN_NOT_REGISTERED');
  });

  test('keeps a verdict of the near cache only as long as legacy tokens are accepted', async () => {
    const acceptUntil = stores.clock.now() + 2;
    const verifier = await open(true, acceptUntil);
    const token = await registered();
    expect(await verdict(verifier, token)).toBe('active');
    expect(await verdict(verifier, token)).toBe('active');
    stores.clock.advance(2);
    expect(await verdict(verifier, token)).toBe('ERR_KEY_UNKNOWN');
  });

  test('limits the lookups of invented tokens, but not of known ones', async () => {
    const verifier = await open(false);
    const token = await registered();
    expect(await verdict(verifier, token)).toBe('active');
    const unknown = rsaPair();
    const claims = { sub: 'alice', exp: stores.clock.now() + 600 };
    const [header, , signature] = (await signJws(unknown, { alg: 'RS256' }, claims)).split('.');
    const invented = Array.from({ length: 300 }, (_, index) => {
      const payload = Buffer.from(JSON.stringify({ ...claims, index })).toString('base64url');
      return `${header}.${payload}.${signature}`;
    });
    const verdicts = await Promise.all([...invented, token].map((one) => verdict(verifier, one)));
    expect(verdicts.pop()).toBe('active');
    expect(verdicts.filter((code) => code === 'ERR_TOKEN_NOT_REGISTERED')).toHaveLength(100);
    expect(verdicts.filter((code) => code === 'ERR_LEGACY_OVERLOADED')).toHaveLength(200);

    let refused = 0;
    for (let round = 0; refused === 0 && round < 20; round++) {
      const some = await Promise.all(invented.slice(0, 100).map((one) => verdict(verifier, one)));
      refused = some.filter((code) => code === 'ERR_LEGACY_OVERLOADED').length;
    }
    expect(refused).toBeGreaterThan(0);
    stores.clock.advance(1);
    expect(await verdict(verifier, invented[0] as string)).toBe('ERR_TOKEN_NOT_REGISTERED');
  });
});
