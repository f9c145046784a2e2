import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { asVerifyOnly, generateKeys } from '../../../src/domain/keys/generate.js';
import { toPrivateKey } from '../../../src/domain/keys/open-private-key.js';
import { retireKey } from '../../../src/domain/keys/retire.js';
import { planRotation } from '../../../src/domain/keys/rotation-plan.js';
import type { KeyTransition, TokenRegistry } from '../../../src/domain/ports/index.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import {
  type RegisterPolicy,
  type RegisterReport,
  registerTokens,
} from '../../../src/domain/tokens/register.js';
import { revokeSubject, revokeToken } from '../../../src/domain/tokens/revoke.js';
import { setUserStatus } from '../../../src/domain/users/manage.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';
import { rsaPair, signJws } from '../../support/signing.js';

const NO_REASON = { reason: null, dryRun: false };
const DAY = 86_400;
const LONGEST = POLICY.maxTtlSeconds;

let service: EmbeddedService;
let now: number;

beforeEach(async () => {
  service = await openEmbeddedService();
  now = service.clock.now();
  const users = ['alice', 'bob', 'carol'].map((sub) => ({ sub, name: null }));
  await service.database.users.addMany(users, now);
});
afterEach(() => service.close());

/** Returns a token that an external issuer signed with a known key. */
async function externalToken(claims: Record<string, unknown> = {}, kid = 'k1'): Promise<string> {
  const key = await service.database.keys.find(kid);
  const sealed = await service.database.keys.findSealed(kid);
  if (key === null || sealed === null) throw new Error(`Key ${kid} has no private key.`);
  const privateKey = toPrivateKey(key, await service.ports.sealer.open(kid, sealed));
  const payload = {
    iss: 'jwtctl',
    aud: 'user',
    sub: 'alice',
    iat: now,
    exp: now + 600,
    jti: 'theirs',
    ...claims,
  };
  return signJws({ privateKey }, { alg: 'RS256', kid }, payload);
}

function registerOne(
  tokens: string[],
  options: { policy?: Partial<RegisterPolicy>; dryRun?: boolean; registry?: TokenRegistry } = {},
): Promise<RegisterReport> {
  const { database, registry, clock } = service.ports;
  const ports = { database, registry: options.registry ?? registry, clock, users: database.users };
  return registerTokens(ports, { ...POLICY, ...options.policy }, tokens, { dryRun: options.dryRun ?? false });
}

/** Returns the code of the refusal, or `registered`. */
async function verdictOn(token: string, options?: Parameters<typeof registerOne>[1]): Promise<string> {
  const [outcome] = (await registerOne([token], options)).outcomes;
  return outcome instanceof JwtctlError ? outcome.code : 'registered';
}

async function apply(...transitions: KeyTransition[]): Promise<void> {
  const { revision } = await service.database.keys.snapshot();
  expect(await service.database.keys.apply(revision, transitions)).toBe(true);
}

async function maxTtlOf(kid: string): Promise<number | null | undefined> {
  return (await service.database.keys.find(kid))?.maxTtlSeconds;
}

describe('an external token under a known key', () => {
  test('is refused before it is registered, and valid afterwards', async () => {
    const token = await externalToken();
    expect(await service.verdict(token)).toBe('ERR_TOKEN_NOT_REGISTERED');
    expect(await registerOne([token])).toEqual({
      outcomes: [{ jti: 'theirs', kid: 'k1', sub: 'alice', aud: 'user', iat: now, exp: now + 600 }],
      refusedLegacy: 0,
      known: 0,
      raised: [{ kid: 'k1', maxTtlSeconds: 600 }],
    });
    expect(await service.verdict(token)).toBe('active');
    expect(await service.registry.list('alice', now)).toMatchObject([
      { jti: 'theirs', exp: now + 600, meta: null },
    ]);
  });

  test('can be registered again, which changes nothing', async () => {
    const token = await externalToken();
    const first = await registerOne([token]);
    expect(await registerOne([token, token])).toEqual({
      outcomes: [...first.outcomes, ...first.outcomes],
      refusedLegacy: 0,
      known: 2,
      raised: [],
    });
    expect(await service.registry.list('alice', now)).toHaveLength(1);
  });

  test('can be revoked', async () => {
    const token = await externalToken();
    await registerOne([token]);
    await revokeSubject(service.ports, POLICY, { sub: 'alice' }, NO_REASON);
    expect(await service.verdict(token)).toBe('ERR_TOKEN_REVOKED');
    expect(await verdictOn(token)).toBe('ERR_TOKEN_REVOKED');
  });

  test('can be evicted', async () => {
    await registerOne([await externalToken({ jti: 'old', iat: now - 9 })]);
    await registerOne([await externalToken({ jti: 'new' })], { policy: { maxPerSubject: 1 } });
    expect(await service.registry.list('alice', now)).toMatchObject([{ jti: 'new' }]);
  });

  test('is only checked in a dry run', async () => {
    const token = await externalToken({ exp: now + 30 * DAY });
    const { outcomes, raised } = await registerOne([token, await externalToken({ sub: 'zoe' })], {
      dryRun: true,
    });
    expect(outcomes).toMatchObject([{ jti: 'theirs' }, { code: 'ERR_USER_UNKNOWN' }]);
    expect(raised).toEqual([{ kid: 'k1', maxTtlSeconds: 30 * DAY }]);
    expect(await service.registry.list('alice', now)).toEqual([]);
    expect(await maxTtlOf('k1')).toBe(60);
  });
});

describe('an invalid token', () => {
  test.each([
    ['that has expired', { exp: -600 }, 'ERR_TOKEN_EXPIRED'],
    ['that is not valid yet', { nbf: 60 }, 'ERR_TOKEN_NOT_YET_VALID'],
    ['that was issued in the future', { iat: 60 }, 'ERR_TOKEN_NOT_YET_VALID'],
  ])('%s is refused', async (_what, times, code) => {
    const claims = Object.fromEntries(Object.entries(times).map(([name, offset]) => [name, now + offset]));
    expect(await verdictOn(await externalToken(claims))).toBe(code);
    expect(await service.registry.list('alice', now)).toEqual([]);
  });

  test.each([
    ['from another issuer', { iss: 'another' }, 'ERR_ISSUER_MISMATCH'],
    ['for another audience', { aud: ['api', 'admin'] }, 'ERR_AUDIENCE_MISMATCH'],
    ['without a jti', { jti: undefined }, 'ERR_CLAIM_INVALID'],
    ['with a jti that is too long', { jti: 'x'.repeat(256) }, 'ERR_CLAIM_INVALID'],
    ['with control characters in the jti', { jti: 'a\u001b[2J' }, 'ERR_CLAIM_INVALID'],
    ['with an empty sub', { sub: '' }, 'ERR_CLAIM_INVALID'],
    ['of an unknown user', { sub: 'zoe' }, 'ERR_USER_UNKNOWN'],
    ['with an exp in milliseconds', { exp: 1_700_000_000_000 }, 'ERR_CLAIM_INVALID'],
  ])('%s is refused', async (_what, claims, code) => {
    expect(await verdictOn(await externalToken(claims))).toBe(code);
    expect(await maxTtlOf('k1')).toBe(60);
  });

  test('is refused if its user is disabled, or if it or its subject was revoked', async () => {
    await setUserStatus(service.ports, POLICY, { sub: 'bob', status: 'disabled', ...NO_REASON });
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti: 'ended' }, NO_REASON);
    await revokeSubject(service.ports, POLICY, { sub: 'carol' }, NO_REASON);
    expect(await verdictOn(await externalToken({ sub: 'bob' }))).toBe('ERR_USER_DISABLED');
    expect(await verdictOn(await externalToken({ jti: 'ended' }))).toBe('ERR_TOKEN_REVOKED');
    expect(await verdictOn(await externalToken({ jti: 'other' }))).toBe('registered');
    expect(await verdictOn(await externalToken({ sub: 'carol' }))).toBe('ERR_TOKEN_REVOKED');
  });

  test('is malformed, has another signature, or has a key that is not trusted', async () => {
    const token = await externalToken();
    const forged = await signJws(rsaPair(), { alg: 'RS256', kid: 'k1' }, { iss: 'jwtctl', sub: 'alice' });
    expect(await verdictOn('')).toBe('ERR_TOKEN_MALFORMED');
    expect(await verdictOn('a.b.c')).toBe('ERR_TOKEN_MALFORMED');
    expect(await verdictOn(forged)).toBe('ERR_SIGNATURE_INVALID');
    await apply({ kid: 'k1', from: 'active', to: 'compromised', at: now });
    expect(await verdictOn(token)).toBe('ERR_KEY_NOT_TRUSTED');
  });

  test('does not stop the other tokens', async () => {
    const { outcomes } = await registerOne([
      await externalToken({ jti: 'a' }),
      'not a token',
      await externalToken({ jti: 'b', sub: 'bob' }),
      await externalToken({ jti: 'c', sub: 'zoe' }),
    ]);
    expect(outcomes).toMatchObject([
      { jti: 'a', sub: 'alice' },
      { kind: 'refused', code: 'ERR_TOKEN_MALFORMED' },
      { jti: 'b', sub: 'bob' },
      { kind: 'refused', code: 'ERR_USER_UNKNOWN' },
    ]);
  });
});

describe('a lifetime longer than the longest known one of the key', () => {
  const rotation = {
    ...{ maxTtlSeconds: LONGEST, clockToleranceSeconds: POLICY.clockToleranceSeconds },
    ...{
      rotateAfterSeconds: DAY,
      publishLeadSeconds: 0,
      isForced: true,
      keepsLead: false,
      leavesStragglers: false,
      needsFleet: false,
    },
  };

  async function rotate(at: number): Promise<void> {
    const { keys } = await service.database.keys.snapshot();
    await apply(...planRotation(keys, rotation, at).transitions);
  }

  beforeEach(async () => {
    await generateKeys(service.ports, {
      kid: 'k2',
      alg: 'RS256',
      bits: 2048,
      count: 1,
      maxTtlSeconds: LONGEST,
    });
  });

  test('is stored with the active key, which verifies until the token has expired', async () => {
    const token = await externalToken({ exp: now + 30 * DAY });
    expect((await registerOne([token])).raised).toEqual([{ kid: 'k1', maxTtlSeconds: 30 * DAY }]);
    expect(await maxTtlOf('k1')).toBe(30 * DAY);
    await rotate(now);
    const verifyUntil = (await service.database.keys.find('k1'))?.verifyUntil ?? 0;
    expect(verifyUntil).toBeGreaterThanOrEqual(now + 30 * DAY + POLICY.clockToleranceSeconds);
  });

  test('counts from now on', async () => {
    const token = await externalToken({ iat: now - 300 * DAY, exp: now + 40 });
    expect((await registerOne([token])).raised).toEqual([]);
    expect(await maxTtlOf('k1')).toBe(60);
  });

  test('is stored once for several tokens, as the longest of those that are accepted', async () => {
    const { raised } = await registerOne([
      await externalToken({ jti: 'a', exp: now + 20 * DAY }),
      await externalToken({ jti: 'b', exp: now + 30 * DAY }),
      await externalToken({ jti: 'c', exp: now + 90 * DAY, sub: 'zoe' }),
    ]);
    expect(raised).toEqual([{ kid: 'k1', maxTtlSeconds: 30 * DAY }]);
    expect(await maxTtlOf('k1')).toBe(30 * DAY);
  });

  test('extends how long the security log keeps events', async () => {
    await registerOne([await externalToken({ exp: now + 30 * DAY })]);
    await revokeSubject(service.ports, POLICY, { sub: 'alice' }, NO_REASON);
    const [event] = await service.database.securityLog.findNaming([{ sub: 'alice', jti: null }]);
    expect(event?.expiresAt).toBeGreaterThan(now + 30 * DAY);
  });

  test('is accepted under a retiring key that outlives the token, to the second', async () => {
    const signed = [0, 1].map((more) => externalToken({ jti: `j${more}`, exp: now + LONGEST + 60 + more }));
    const [fits, outlives] = await Promise.all(signed);
    await rotate(now);
    expect((await service.database.keys.find('k1'))?.verifyUntil).toBe(now + 60 + LONGEST + 5);
    const { outcomes, raised } = await registerOne([fits ?? '', outlives ?? '']);
    expect(outcomes).toMatchObject([{ jti: 'j0' }, { kind: 'refused', code: 'ERR_KEY_NOT_TRUSTED' }]);
    expect(raised).toEqual([]);
  });

  test('is checked against the new state if the key is demoted at the same time', async () => {
    const token = await externalToken({ exp: now + 30 * DAY });
    const { database } = service.ports;
    const demoting = {
      ...database,
      transaction: async <T>(work: Parameters<typeof database.transaction<T>>[0]): Promise<T> => {
        await rotate(now);
        return database.transaction(work);
      },
    };
    const ports = { ...service.ports, database: demoting, users: database.users };
    const { outcomes, raised } = await registerTokens(ports, POLICY, [token], { dryRun: false });
    expect(outcomes).toMatchObject([{ code: 'ERR_KEY_NOT_TRUSTED' }]);
    expect(raised).toEqual([]);
    expect(await service.registry.list('alice', now)).toEqual([]);
  });

  test('is refused under a pending key, which cannot store it', async () => {
    expect(await verdictOn(await externalToken({ exp: now + LONGEST }, 'k2'))).toBe('registered');
    expect(await verdictOn(await externalToken({ exp: now + LONGEST + 1 }, 'k2'))).toBe(
      'ERR_KEY_NOT_TRUSTED',
    );
  });
});

describe('a revocation during the registration', () => {
  function registryThat(does: () => Promise<unknown>): TokenRegistry {
    return service.withRegistry({
      registerMany: async (registrations) => {
        const errors = await service.registry.registerMany(registrations);
        await does();
        return errors;
      },
    }).registry;
  }

  test('refuses the token, and leaves no entry', async () => {
    const tokens = [await externalToken({ jti: 'a' }), await externalToken({ jti: 'b', sub: 'bob' })];
    const registry = registryThat(() =>
      service.database.securityLog.append({
        ...{ type: 'subject_revoked', sub: 'alice', issuedBefore: now, reason: null, at: now },
        expiresAt: now + 9_999,
      }),
    );
    const { outcomes } = await registerOne(tokens, { registry });
    expect(outcomes).toMatchObject([{ code: 'ERR_TOKEN_REVOKED' }, { jti: 'b' }]);
    expect(await service.registry.list('alice', now)).toEqual([]);
    expect(await service.registry.list('bob', now)).toHaveLength(1);
  });

  test('of the key refuses all tokens, and removes their entries at once', async () => {
    const tokens = [await externalToken({ jti: 'a' }), await externalToken({ jti: 'b', sub: 'bob' })];
    const removed: unknown[] = [];
    const { registry } = service.withRegistry({
      remove: () => Promise.reject(new Error('One by one.')),
      registerMany: (registrations) => compromising.registerMany(registrations),
      removeEntries: (subjects, at) => {
        removed.push(subjects.map(({ sub }) => sub));
        return service.registry.removeEntries(subjects, at);
      },
    });
    const compromising = registryThat(() =>
      service.database.securityLog.append({
        ...{ type: 'key_compromised', kid: 'k1', reason: null, at: now, expiresAt: now + 9_999 },
      }),
    );
    const { outcomes } = await registerOne(tokens, { registry });
    expect(outcomes).toMatchObject([{ code: 'ERR_TOKEN_REVOKED' }, { code: 'ERR_TOKEN_REVOKED' }]);
    expect(removed).toEqual([['alice', 'bob']]);
    expect(await service.registry.list('alice', now)).toEqual([]);
    expect(await service.registry.list('bob', now)).toEqual([]);
  });
});

test('a dry run refuses what the run refuses beyond the limit', async () => {
  const tokens = await Promise.all(['a', 'b', 'c'].map((jti) => externalToken({ jti })));
  const policy = { maxPerSubject: 2, onLimit: 'refuse' } as const;
  await registerOne(tokens.slice(0, 1));
  for (const dryRun of [true, false]) {
    const { outcomes, known } = await registerOne(tokens, { policy, dryRun });
    expect({ outcomes, known }).toMatchObject({
      outcomes: [{ jti: 'a' }, { jti: 'b' }, { code: 'ERR_TOKEN_LIMIT' }],
      known: 1,
    });
  }
});

test('asks the registry once for each token', async () => {
  const token = await externalToken();
  const { registry } = service.withRegistry({ tokenStatus: () => Promise.reject(new Error('Asked twice.')) });
  expect((await registerOne([token], { registry })).known).toBe(0);
  expect((await registerOne([token], { registry })).known).toBe(1);
});

test('returns the error of an entry, and fails if the store fails twice', async () => {
  const wrongType = new JwtctlError('ERR_REDIS_WRONG_TYPE', 'Wrong type.');
  const outage = new JwtctlError('ERR_REDIS_UNREACHABLE', 'The registry is down.');
  const token = await externalToken();
  const failing = (registerMany: TokenRegistry['registerMany']) =>
    service.withRegistry({ registerMany }).registry;
  expect(await verdictOn(token, { registry: failing(async () => [wrongType]) })).toBe('ERR_REDIS_WRONG_TYPE');
  await expect(registerOne([token], { registry: failing(() => Promise.reject(outage)) })).rejects.toBe(
    outage,
  );
  let calls = 0;
  const failingOnce = failing((registrations) =>
    ++calls === 1 ? Promise.reject(outage) : service.registry.registerMany(registrations),
  );
  expect(await verdictOn(token, { registry: failingOnce })).toBe('registered');
});

describe('under a verify-only key that is retired at the same time', () => {
  let token: string;

  beforeEach(async () => {
    const { privateKey, publicKey } = rsaPair();
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const key = { id: 77, kid: 'theirs', alg: 'RS256', bits: 2048, publicKey: pem } as const;
    await service.database.transaction((stores) => stores.keys.insert(asVerifyOnly(key, null, now)));
    const claims = { iss: 'jwtctl', aud: 'user', sub: 'alice', iat: now, exp: now + 600, jti: 'theirs' };
    token = await signJws({ privateKey }, { alg: 'RS256', kid: 'theirs' }, claims);
    // The next registration does not raise the longest lifetime.
    expect(await verdictOn(token)).toBe('registered');
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti: 'theirs' }, NO_REASON);
    token = await signJws({ privateKey }, { alg: 'RS256', kid: 'theirs' }, { ...claims, jti: 'second' });
  });

  const retire = (registry: TokenRegistry = service.registry) =>
    retireKey(
      { ...service.ports, registry },
      { kid: 'theirs', force: false, dryRun: false, clockToleranceSeconds: POLICY.clockToleranceSeconds },
    );

  test('a token that is registered after the count is counted again', async () => {
    let isFirst = true;
    const { registry } = service.withRegistry({
      scan: async (...words) => {
        const outcome = await service.registry.scan(...words);
        if (isFirst) expect(await verdictOn(token)).toBe('registered');
        isFirst = false;
        return outcome;
      },
    });
    await expect(retire(registry)).rejects.toMatchObject({ code: 'ERR_KEY_IN_USE' });
  });

  test('a token that is stored after the retirement is refused and removed', async () => {
    const { registry } = service.withRegistry({
      registerMany: async (registrations) => {
        expect(await retire()).toMatchObject({ state: 'retired' });
        return service.registry.registerMany(registrations);
      },
    });
    expect(await verdictOn(token, { registry })).toBe('ERR_KEY_NOT_TRUSTED');
    expect(await service.registry.list('alice', now)).toEqual([]);
  });
});
