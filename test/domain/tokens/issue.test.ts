import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decodeToken } from '../../../src/domain/jose/jws.js';
import type { Database, NewSecurityEvent, Sealer } from '../../../src/domain/ports/index.js';
import { Issuer } from '../../../src/domain/tokens/issue.js';
import { revokeSubject, revokeToken } from '../../../src/domain/tokens/revoke.js';
import { addUser, removeUser, setUserStatus } from '../../../src/domain/users/manage.js';
import {
  type EmbeddedService,
  openEmbeddedService,
  POLICY,
  SIGNING,
} from '../../support/embedded-service.js';

const NO_REASON = { reason: null, dryRun: false };

let service: EmbeddedService;

beforeEach(async () => {
  service = await openEmbeddedService();
  await service.database.users.add({ sub: 'alice', name: null, at: service.clock.now() });
});
afterEach(() => service.close());

async function append(event: Omit<NewSecurityEvent, 'reason' | 'at' | 'expiresAt'>): Promise<void> {
  const at = service.clock.now();
  await service.database.securityLog.append({ ...event, reason: null, at, expiresAt: at + 99_999 });
}

describe('a token', () => {
  test('has the requested claims, and is valid at once', async () => {
    const now = service.clock.now();
    const issued = await service.issuer().issue({
      sub: 'alice',
      aud: ['user', 'admin'],
      ttlSeconds: 600,
      claims: { role: 'admin', 'https://example.com/x': [1, { a: null }] },
      meta: { device: 'phone' },
    });
    expect(issued).toEqual({
      token: expect.any(String),
      jti: expect.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{21}$/),
      kid: 'k1',
      sub: 'alice',
      aud: ['user', 'admin'],
      iat: now,
      exp: now + 600,
    });
    expect(decodeToken(issued.token)).toMatchObject({
      header: { alg: 'RS256', typ: 'JWT', kid: 'k1' },
      payload: {
        iss: 'jwtctl',
        sub: 'alice',
        aud: ['user', 'admin'],
        iat: now,
        exp: now + 600,
        jti: issued.jti,
        role: 'admin',
        'https://example.com/x': [1, { a: null }],
      },
    });
    expect(await service.verify(issued.token)).toMatchObject({ active: true });
    expect(await service.registry.list('alice', now)).toMatchObject([
      { jti: issued.jti, meta: { device: 'phone' } },
    ]);
  });

  test('has the defaults of the policy', async () => {
    const { token, iat, exp, aud } = await service.issuer().issue({ sub: 'alice' });
    expect(exp - iat).toBe(3600);
    expect(aud).toBe('user');
    expect(decodeToken(token)).toMatchObject({ payload: { aud: 'user' } });
    expect(decodeToken(token)).not.toHaveProperty('payload.nbf');
  });

  test('may become valid later', async () => {
    const { token } = await service.issuer().issue({ sub: 'alice', notBeforeSeconds: 100 });
    expect(await service.verdict(token)).toBe('ERR_TOKEN_NOT_YET_VALID');
    service.clock.advance(100);
    expect(await service.verdict(token)).toBe('active');
  });

  test('has a unique jti', async () => {
    const issuer = service.issuer();
    const issued = await Promise.all(Array.from({ length: 50 }, () => issuer.issue({ sub: 'alice' })));
    expect(new Set(issued.map(({ jti }) => jti)).size).toBe(50);
    expect(await service.registry.list('alice', service.clock.now())).toHaveLength(50);
  });

  test('with a claim named __proto__ keeps it as a claim', async () => {
    const claims = JSON.parse('{"__proto__":{"sub":"root"}}') as Record<string, unknown>;
    const { token } = await service.issuer().issue({ sub: 'alice', claims });
    expect(await service.verify(token)).toMatchObject({ active: true, payload: { sub: 'alice' } });
  });
});

describe('the audit log', () => {
  const issuedRows = async () =>
    (await service.db.selectFrom('audit_log').selectAll().orderBy('seq').execute()).filter(
      ({ action }) => action === 'token.issue',
    );

  test('has a row for each token', async () => {
    const { jti, iat } = await service.issuer().issue({ sub: 'alice' });
    const row = { actor: 'test', target: `alice ${jti}`, at: iat, outcome: 'done', reason: null };
    expect(await issuedRows()).toMatchObject([row]);
  });

  test('returns no token if the row fails, and the next token tries again', async () => {
    const failure = new Error('the database is down');
    let isAway = true;
    const database: Database = {
      ...service.database,
      transaction: (work) => (isAway ? Promise.reject(failure) : service.database.transaction(work)),
    };
    const ports = { ...service.ports, database, users: service.database.users, ...SIGNING };
    await service.issuer().issue({ sub: 'alice' });
    const issuer = new Issuer(ports, POLICY);
    await expect(issuer.issue({ sub: 'alice' })).rejects.toBe(failure);
    isAway = false;
    await issuer.issue({ sub: 'alice' });
    expect(await issuedRows()).toHaveLength(2);
  });
});

describe('an invalid request', () => {
  test.each([
    [{ sub: '' }, 'ERR_SUBJECT_INVALID'],
    [{ sub: 'a\u0000b' }, 'ERR_SUBJECT_INVALID'],
    [{ ttlSeconds: 0 }, 'ERR_TTL_INVALID'],
    [{ ttlSeconds: -1 }, 'ERR_TTL_INVALID'],
    [{ ttlSeconds: 1.5 }, 'ERR_TTL_INVALID'],
    [{ ttlSeconds: Number.NaN }, 'ERR_TTL_INVALID'],
    [{ ttlSeconds: POLICY.maxTtlSeconds + 1 }, 'ERR_TTL_TOO_LONG'],
    [{ ttlSeconds: 60, notBeforeSeconds: 60 }, 'ERR_NOT_BEFORE_INVALID'],
    [{ aud: [] }, 'ERR_AUDIENCE_INVALID'],
    [{ aud: ['user', ''] }, 'ERR_AUDIENCE_INVALID'],
    [{ claims: { iss: 'x' } }, 'ERR_CLAIM_RESERVED'],
    [{ claims: { sub: 'root' } }, 'ERR_CLAIM_RESERVED'],
    [{ claims: { exp: undefined } }, 'ERR_CLAIM_RESERVED'],
    [{ claims: { jti: 'x' } }, 'ERR_CLAIM_RESERVED'],
    [{ claims: { nbf: 0 } }, 'ERR_CLAIM_RESERVED'],
    [{ meta: { device: 'x'.repeat(500) } }, 'ERR_META_INVALID'],
    [{ meta: { device: 'é'.repeat(250) } }, 'ERR_META_INVALID'],
    [{ meta: { device: 'a\nb' } }, 'ERR_META_INVALID'],
  ])('%j is refused as %s, and nothing is registered', async (request, code) => {
    const issuer = service.issuer();
    const whole = { sub: 'alice', ...request };
    await expect(issuer.issue(whole)).rejects.toMatchObject({ kind: 'usage', code });
    await expect(issuer.plan(whole)).rejects.toMatchObject({ kind: 'usage', code });
    expect(() => issuer.validate(whole)).toThrow(expect.objectContaining({ kind: 'usage', code }));
    expect(await service.registry.list('alice', service.clock.now())).toEqual([]);
  });

  test.each([1, POLICY.maxTtlSeconds])('accepts a lifetime of %i s', async (ttlSeconds) => {
    const { iat, exp } = await service.issuer().issue({ sub: 'alice', ttlSeconds });
    expect(exp - iat).toBe(ttlSeconds);
  });
});

describe('the user', () => {
  test('must exist, compared byte for byte', async () => {
    for (const sub of ['bob', 'Alice', 'alice ']) {
      await expect(service.issuer().issue({ sub })).rejects.toMatchObject({
        kind: 'not_found',
        code: 'ERR_USER_UNKNOWN',
      });
    }
  });

  test('must be enabled', async () => {
    await service.database.users.setStatus('alice', 'disabled', service.clock.now());
    await expect(service.issuer().issue({ sub: 'alice' })).rejects.toMatchObject({
      kind: 'state',
      code: 'ERR_USER_DISABLED',
    });
    expect(await service.registry.list('alice', service.clock.now())).toEqual([]);
  });
});

describe('the key', () => {
  test('must exist and be active', async () => {
    await service.db.updateTable('keystore').set({ state: 'retired' }).execute();
    await expect(service.issuer().issue({ sub: 'alice' })).rejects.toMatchObject({
      kind: 'state',
      code: 'ERR_NO_ACTIVE_KEY',
    });
  });

  test('stores the longest lifetime before it signs the first token', async () => {
    const maxTtl = async () => (await service.database.keys.find('k1'))?.maxTtlSeconds;
    expect(await maxTtl()).toBe(60);
    await service.issuer().issue({ sub: 'alice', ttlSeconds: 30 });
    expect(await maxTtl()).toBe(POLICY.maxTtlSeconds);
    await service.issuer({ maxTtlSeconds: 90, ttlSeconds: 60 }).issue({ sub: 'alice' });
    expect(await maxTtl()).toBe(POLICY.maxTtlSeconds);
  });

  test('is kept between tokens for a while after a rotation', async () => {
    const issuer = service.issuer();
    const kidOf = async () => (await issuer.issue({ sub: 'alice' })).kid;
    expect(await kidOf()).toBe('k1');
    await swapKeys();
    service.clock.advance(29);
    expect(await kidOf()).toBe('k1');
    service.clock.advance(1);
    expect(await kidOf()).toBe('k2');
  });

  test.each([
    { since: 18, kid: 'k1', signedAfter: 29 },
    { since: 19, kid: 'k2', signedAfter: 30 },
    { since: 59, kid: 'k2', signedAfter: 70 },
  ])(
    'does not sign later than 30 s after it was read, if a token waits from second $since on',
    async (story) => {
      const issuer = service.issuer();
      const readAt = service.clock.now();
      await issuer.issue({ sub: 'alice' });
      await swapKeys();
      service.clock.advance(story.since);
      await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: service.clock.now() + 10 });
      const issuing = issuer.issue({ sub: 'alice' });
      await service.clock.awaited();
      service.clock.advance(11);
      expect(await issuing).toMatchObject({ kid: story.kid, iat: readAt + story.signedAfter });
    },
  );

  test('is read again after the clock was set back', async () => {
    const issuer = service.issuer();
    service.clock.advance(3_600);
    await issuer.issue({ sub: 'alice' });
    service.clock.advance(-3_600);
    await swapKeys();
    expect((await issuer.issue({ sub: 'alice' })).kid).toBe('k2');
  });

  test('does not sign if it was demoted while a slow vault opened it', async () => {
    const { sealer } = service.ports;
    let isFirst = true;
    const slow = {
      ...service.ports,
      users: service.database.users,
      ...SIGNING,
      sealer: {
        ...sealer,
        open: async (kid: string, sealed: string) => {
          if (isFirst) {
            isFirst = false;
            await swapKeys();
            service.clock.advance(90);
          }
          return sealer.open(kid, sealed);
        },
      } as Sealer,
    };
    expect((await new Issuer(slow, POLICY).issue({ sub: 'alice' })).kid).toBe('k2');
  });

  test('in a slow vault does not shorten the wait for a revocation', async () => {
    const { sealer } = service.ports;
    const slow = {
      ...service.ports,
      users: service.database.users,
      ...SIGNING,
      sealer: {
        ...sealer,
        open: async (kid: string, sealed: string) => {
          service.clock.advance(12);
          await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: service.clock.now() });
          return sealer.open(kid, sealed);
        },
      } as Sealer,
    };
    const issuing = new Issuer(slow, POLICY).issue({ sub: 'alice' });
    await service.clock.awaited();
    service.clock.advance(1);
    expect((await issuing).iat).toBe(service.clock.now());
  });

  test('with a key pair mismatch does not sign', async () => {
    const { publicKey } = await service.ports.generator.generate(2048);
    await service.db.updateTable('keystore').set({ public_key: publicKey }).execute();
    await expect(service.issuer().issue({ sub: 'alice' })).rejects.toMatchObject({
      kind: 'state',
      code: 'ERR_KEY_PAIR_MISMATCH',
    });
    expect(await service.registry.list('alice', service.clock.now())).toEqual([]);
  });

  test('without a private key is an error', async () => {
    await service.db.updateTable('keystore').set({ private_key: null }).execute();
    await expect(service.issuer().issue({ sub: 'alice' })).rejects.toMatchObject({
      kind: 'state',
      code: 'ERR_PRIVATE_KEY_MISSING',
    });
  });

  test('is opened again with the next token after a failure', async () => {
    const sealed = await service.database.keys.findSealed('k1');
    const issuer = service.issuer();
    await service.db.updateTable('keystore').set({ private_key: 'broken' }).execute();
    await expect(issuer.issue({ sub: 'alice' })).rejects.toMatchObject({ code: 'ERR_DECRYPTION_FAILED' });
    await service.db.updateTable('keystore').set({ private_key: sealed }).execute();
    expect(await issuer.issue({ sub: 'alice' })).toMatchObject({ kid: 'k1' });
  });

  async function swapKeys(): Promise<void> {
    const { keys } = service.database;
    const { sealed, masterKeyId } = await service.ports.sealer.seal('k2', await pkcs8());
    const at = service.clock.now();
    const { alg, bits, publicKey } = (await keys.find('k1')) ?? expect.unreachable();
    const pending = { id: 2, kid: 'k2', alg, bits, publicKey, state: 'pending' as const, createdAt: at };
    await keys.insert({
      ...pending,
      sealedPrivateKey: sealed,
      masterKeyId,
      maxTtlSeconds: null,
      activatedAt: null,
    });
    await keys.apply((await keys.snapshot()).revision, [
      { kid: 'k1', from: 'active', to: 'retiring', at, verifyUntil: at + 99_999 },
      { kid: 'k2', from: 'pending', to: 'active', at, maxTtlSeconds: 60 },
    ]);
  }

  async function pkcs8(): Promise<Uint8Array> {
    return service.ports.sealer.open('k1', (await service.database.keys.findSealed('k1')) ?? '');
  }
});

describe('registering', () => {
  test('returns no token if it fails', async () => {
    const failure = new Error('the registry is down');
    const { registry } = service.withRegistry({ registerMany: () => Promise.reject(failure) });
    const issuer = new Issuer(
      { ...service.ports, registry, users: service.database.users, ...SIGNING },
      POLICY,
    );
    await expect(issuer.issue({ sub: 'alice' })).rejects.toBe(failure);
  });

  test('leaves no entry if the security log fails before the token is returned', async () => {
    const failure = new Error('The database is down.');
    const { securityLog } = service.database;
    const failingLog = Object.assign(Object.create(securityLog) as typeof securityLog, {
      findConcerning: (token: Parameters<typeof securityLog.findConcerning>[0]) =>
        securityLog.findConcerning(token),
      findGlobal: () => Promise.reject(failure),
    });
    const database = { ...service.database, securityLog: failingLog };
    const issuer = new Issuer({ ...service.ports, database, users: database.users, ...SIGNING }, POLICY);
    await expect(issuer.issue({ sub: 'alice' })).rejects.toBe(failure);
    expect(await service.registry.list('alice', service.clock.now())).toEqual([]);
  });

  test('evicts the oldest token of the subject beyond maxPerSubject', async () => {
    await service.database.users.add({ sub: 'bob', name: null, at: 0 });
    const issuer = service.issuer({ maxPerSubject: 2 });
    const tokens: string[] = [];
    for (const sub of ['alice', 'bob', 'alice', 'alice']) {
      tokens.push((await issuer.issue({ sub })).token);
      service.clock.advance(1);
    }
    expect(await Promise.all(tokens.map(service.verdict))).toEqual([
      'ERR_TOKEN_NOT_REGISTERED',
      'active',
      'active',
      'active',
    ]);
  });
});

describe('after a revocation', () => {
  test('of the subject in this second, the next token waits for the next second', async () => {
    const old = await service.issueTo('alice');
    await revokeSubject(service.ports, POLICY, { sub: 'alice' }, NO_REASON);
    const revokedAt = service.clock.now();
    const issuing = service.issuer().issue({ sub: 'alice' });
    expect(await service.clock.awaited()).toEqual([revokedAt + 1]);

    service.clock.advance(1);
    const issued = await issuing;
    expect(issued.iat).toBe(revokedAt + 1);
    expect(await service.verdict(issued.token)).toBe('active');
    expect(await service.verdict(old.token)).toBe('ERR_TOKEN_REVOKED');
  });

  test.each([
    { name: 'of its key', event: { type: 'kid_revoked', kid: 'k1' } },
    { name: 'of all', event: { type: 'all_revoked' } },
  ] as const)('$name in this second, the next token waits too', async ({ event }) => {
    const now = service.clock.now();
    await append({ ...event, issuedBefore: now });
    const issuing = service.issuer().issue({ sub: 'alice' });
    expect(await service.clock.awaited()).toEqual([now + 1]);
    service.clock.advance(1);
    expect(await service.verdict((await issuing).token)).toBe('active');
  });

  test('of another subject, another key, or a single token, the token does not wait', async () => {
    const now = service.clock.now();
    await append({ type: 'subject_revoked', sub: 'bob', issuedBefore: now });
    await append({ type: 'kid_revoked', kid: 'k2', issuedBefore: now });
    const { jti } = await service.issueTo('alice');
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti }, NO_REASON);
    expect((await service.issuer().issue({ sub: 'alice' })).iat).toBe(now);
  });

  test('of an earlier second, the token does not wait', async () => {
    await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: service.clock.now() });
    service.clock.advance(1);
    expect((await service.issuer().issue({ sub: 'alice' })).iat).toBe(service.clock.now());
  });

  test('by a host whose clock is a little ahead, the token waits', async () => {
    const now = service.clock.now();
    await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: now + 7 });
    await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: now + 3 });
    const issuing = service.issuer().issue({ sub: 'alice' });
    expect(await service.clock.awaited()).toEqual([now + 8]);
    service.clock.advance(8);
    expect((await issuing).iat).toBe(now + 8);
  });

  test('far in the future, no token is issued, and the error names the clocks', async () => {
    await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: service.clock.now() + 11 });
    await expect(service.issuer().issue({ sub: 'alice' })).rejects.toMatchObject({
      kind: 'state',
      code: 'ERR_REVOCATION_IN_FUTURE',
    });
    expect(await service.registry.list('alice', service.clock.now())).toEqual([]);
  });

  test('a user who is removed during the wait gets no token', async () => {
    await revokeSubject(service.ports, POLICY, { sub: 'alice' }, NO_REASON);
    const issuing = service.issuer().issue({ sub: 'alice' });
    const refused = expect(issuing).rejects.toMatchObject({ code: 'ERR_USER_UNKNOWN' });
    await service.clock.awaited();
    await removeUser(service.ports, POLICY, { sub: 'alice', ...NO_REASON });
    service.clock.advance(1);
    await refused;
    expect(await service.registry.list('alice', service.clock.now())).toEqual([]);
  });

  test('a revocation during the wait makes the token wait longer', async () => {
    const now = service.clock.now();
    await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: now });
    const issuing = service.issuer().issue({ sub: 'alice' });
    await service.clock.awaited();
    await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: now + 1 });
    service.clock.advance(1);
    expect(await service.clock.awaited()).toEqual([now + 2]);
    service.clock.advance(1);
    const { token, iat } = await issuing;
    expect(iat).toBe(now + 2);
    expect(await service.verdict(token)).toBe('active');
  });

  test('a new user with the same sub gets no token that was issued during the removal', async () => {
    const { users } = service.database;
    const removedMeanwhile = {
      list: () => users.list(),
      find: (sub: string) => users.find(sub),
      findMany: async (subs: readonly string[]) => {
        const found = await users.findMany(subs);
        await removeUser(service.ports, POLICY, { sub: 'alice', ...NO_REASON });
        return found;
      },
    };
    const { token } = await service.issuer({}, removedMeanwhile).issue({ sub: 'alice' });
    await addUser(service.ports, { sub: 'alice', name: null, dryRun: false });
    expect(await service.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });

  test('a token that was issued while the user was disabled is refused', async () => {
    const { users } = service.database;
    const disabledMeanwhile = {
      list: () => users.list(),
      find: (sub: string) => users.find(sub),
      findMany: async (subs: readonly string[]) => {
        const found = await users.findMany(subs);
        await setUserStatus(service.ports, POLICY, { sub: 'alice', status: 'disabled', ...NO_REASON });
        return found;
      },
    };
    const { token } = await service.issuer({}, disabledMeanwhile).issue({ sub: 'alice' });
    expect(await service.verdict(token)).toBe('ERR_USER_DISABLED');
  });
});

test('a plan returns the claims, and changes nothing', async () => {
  const before = await service.database.keys.snapshot();
  const now = service.clock.now();
  expect(await service.issuer().plan({ sub: 'alice', claims: { role: 'x' } })).toMatchObject({
    kid: 'k1',
    payload: { sub: 'alice', role: 'x', iat: now, exp: now + 3600 },
  });
  expect(await service.database.keys.snapshot()).toEqual(before);
  expect(await service.registry.list('alice', now)).toEqual([]);
});

test('a token that is too long is neither registered nor returned', async () => {
  const claims = { text: 'x'.repeat(13_000) };
  await expect(service.issuer().issue({ sub: 'alice', claims })).rejects.toMatchObject({
    kind: 'usage',
    code: 'ERR_TOKEN_TOO_LONG',
  });
  expect(await service.registry.list('alice', service.clock.now())).toEqual([]);
});
