import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type {
  KnownUserStatus,
  NewSecurityEvent,
  SecurityEvent,
  SecurityEventType,
  UserDirectory,
} from '../../../src/domain/ports/index.js';
import { type StatusPolicy, statusMeanwhile } from '../../../src/domain/security-log/cached-user-status.js';
import { RevocationIndex } from '../../../src/domain/security-log/revocation-index.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { evaluateStatus, type IdlePolicy } from '../../../src/domain/verification/check-status.js';
import { findStatus } from '../../../src/domain/verification/find-status.js';
import { ManualClock } from '../../support/clock.js';
import { type EmbeddedStores, openEmbeddedStores } from '../../support/embedded.js';
import { registerOne } from '../../support/registering.js';

const IAT = 1_700_000_000;
const POLICY: StatusPolicy & IdlePolicy = {
  ...{ statusTtlSeconds: 60, clockToleranceSeconds: 5, logsUserChanges: true },
  idleTimeoutSeconds: null,
};
const TOKEN = { sub: 'alice', jti: 'j1', kid: 'k1', iat: IAT, issuedAt: IAT };

function event(type: SecurityEventType, parts: Partial<SecurityEvent> = {}): SecurityEvent {
  return {
    id: 1,
    type,
    sub: null,
    jti: null,
    kid: null,
    issuedBefore: null,
    userVersion: null,
    reason: null,
    at: IAT,
    expiresAt: IAT + 9_999,
    ...parts,
  };
}

describe('covers', () => {
  const covers = (one: SecurityEvent, token: typeof TOKEN) => new RevocationIndex([one]).covers(token);

  test('token_revoked covers the token with its sub and jti', () => {
    const revoked = event('token_revoked', { sub: 'alice', jti: 'j1' });
    expect(covers(revoked, TOKEN)).toBe(true);
    expect(covers(revoked, { ...TOKEN, iat: IAT + 999 })).toBe(true);
    expect(covers(revoked, { ...TOKEN, kid: 'k2' })).toBe(true);
    expect(covers(revoked, { ...TOKEN, jti: 'J1' })).toBe(false);
    expect(covers(revoked, { ...TOKEN, sub: 'Alice' })).toBe(false);
  });

  test.each([
    { type: 'subject_revoked', parts: { sub: 'alice' } },
    { type: 'kid_revoked', parts: { kid: 'k1' } },
    { type: 'all_revoked', parts: {} },
  ] as const)('$type includes the second of issuedBefore and nothing later', ({ type, parts }) => {
    expect(covers(event(type, { ...parts, issuedBefore: IAT + 1 }), TOKEN)).toBe(true);
    expect(covers(event(type, { ...parts, issuedBefore: IAT }), TOKEN)).toBe(true);
    expect(covers(event(type, { ...parts, issuedBefore: IAT - 1 }), TOKEN)).toBe(false);
  });

  test('a revocation of another subject or key does not cover the token', () => {
    expect(covers(event('subject_revoked', { sub: 'bob', issuedBefore: IAT }), TOKEN)).toBe(false);
    expect(covers(event('kid_revoked', { kid: 'K1', issuedBefore: IAT }), TOKEN)).toBe(false);
  });

  test.each(['user_disabled', 'user_enabled', 'user_removed'] as const)(
    '%s ends no token by itself',
    (type) => {
      expect(covers(event(type, { sub: 'alice', issuedBefore: IAT + 9, userVersion: 2 }), TOKEN)).toBe(false);
    },
  );
});

describe('evaluateStatus', () => {
  test('ignores a cached user status that contradicts the log', () => {
    const status = fc.constantFrom('enabled' as const, 'disabled' as const);
    const until = fc.integer({ min: IAT - 2, max: IAT + 2 });
    const known = fc.option(fc.record({ status, version: fc.nat(4), until }));
    const type = fc.constantFrom('user_disabled' as const, 'user_enabled' as const, 'user_removed' as const);
    const changes = fc.array(fc.record({ type, userVersion: fc.nat(4) }), { maxLength: 3 });
    fc.assert(
      fc.property(known, known, changes, (cached, lastAnswer, parts) => {
        const events = new RevocationIndex(parts.map((part) => event(part.type, { sub: 'alice', ...part })));
        const state = { token: TOKEN, exp: null, cached, lastAnswer, events, policy: POLICY };
        const { user, ...others } = evaluateStatus(state, IAT);
        expect(others).toEqual({ entry: null, revoked: false });
        const change = events.changeOf('alice');
        if (user === null || change === null) return;
        expect(user.version).toBeGreaterThanOrEqual(change.version);
        if (user.version === change.version && user.version !== lastAnswer?.version) {
          expect(`user_${user.status}`).toBe(change.type);
        }
      }),
    );
  });

  test('uses the last answer "disabled" if the log has no change yet', () => {
    const known = (status: 'enabled' | 'disabled') => ({ status, version: 1, until: IAT + 9 });
    const evaluate = (lastAnswer: KnownUserStatus | null) =>
      evaluateStatus(
        {
          ...{ token: TOKEN, exp: null, cached: known('enabled'), lastAnswer },
          ...{ events: new RevocationIndex(), policy: POLICY },
        },
        IAT,
      ).user?.status;
    expect(evaluate(null)).toBe('enabled');
    expect(evaluate(known('disabled'))).toBe('disabled');
  });
});

describe('findStatus', () => {
  let stores: EmbeddedStores;
  let clock: ManualClock;
  let asked: string[];
  let users: UserDirectory;

  beforeEach(async () => {
    stores = await openEmbeddedStores();
    clock = new ManualClock(IAT + 10);
    asked = [];
    users = {
      find: (sub) => {
        asked.push(sub);
        return stores.database.users.find(sub);
      },
      findMany: (subs) => stores.database.users.findMany(subs),
      list: () => stores.database.users.list(),
    };
    await stores.database.users.add({ sub: 'alice', name: null, at: IAT });
  });
  afterEach(() => stores.close());

  function tokenStatus(policy: Partial<StatusPolicy> = {}) {
    const { registry, database } = stores;
    const ports = { registry, users, clock, securityLog: database.securityLog, ...POLICY, ...policy };
    return findStatus(ports, { ...TOKEN, keyId: 1 });
  }

  async function register(status?: 'enabled' | 'disabled'): Promise<void> {
    const now = clock.now();
    await registerOne(
      stores.registry,
      'alice',
      { jti: 'j1', keyId: 1, iat: IAT, exp: IAT + 3600 },
      { now, ...(status === undefined ? {} : { user: { status, version: 1, until: now + 60 } }) },
    );
  }

  async function append(event: Pick<NewSecurityEvent, 'type'> & Partial<NewSecurityEvent>): Promise<void> {
    await stores.database.securityLog.append({
      sub: 'alice',
      reason: null,
      at: clock.now(),
      expiresAt: clock.now() + 9_999,
      ...event,
    });
  }

  const entry = { kid: 'k1', iat: IAT, exp: IAT + 3600 };

  test('does not ask the directory if the user status is cached', async () => {
    await register('enabled');
    expect(await tokenStatus()).toEqual({ entry, user: 'enabled', revoked: false });
    expect(asked).toEqual([]);
  });

  test('ignores the cache if the changes of the directory are not in the log', async () => {
    await register('enabled');
    await stores.database.users.setStatus('alice', 'disabled', clock.now());
    expect(await tokenStatus({ logsUserChanges: false })).toEqual({
      entry,
      user: 'disabled',
      revoked: false,
    });
    expect(asked).toEqual(['alice']);
  });

  test('asks the directory if no change matches the cached status', async () => {
    await register('disabled');
    expect(await tokenStatus()).toEqual({ entry, user: 'enabled', revoked: false });
    expect(asked).toEqual(['alice']);
    expect(await tokenStatus()).toMatchObject({ user: 'enabled' });
    expect(asked).toEqual(['alice']);
  });

  test('overwrites a cached version that is higher than the directory has', async () => {
    await register('enabled');
    const now = clock.now();
    const forged = { status: 'enabled', version: Number.MAX_SAFE_INTEGER, until: now + 55 } as const;
    await stores.database.users.setStatus('alice', 'disabled', now);
    await append({ type: 'user_disabled', userVersion: 2 });
    await stores.registry.setUserStatus('alice', forged, now);
    expect(await tokenStatus()).toMatchObject({ user: 'disabled' });
    const { user } = await stores.registry.tokenStatus('alice', { jti: 'j1', keyId: 1, iat: IAT }, now);
    expect(user).toEqual({ status: 'disabled', version: 2, until: now + 60 });
  });

  test('ignores a cached status that expires too late, because a clock was ahead', async () => {
    const now = clock.now();
    const user = { status: 'disabled', version: 1, until: now + 66 } as const;
    const entry = { jti: 'j1', keyId: 1, iat: IAT, exp: IAT + 3600 };
    await registerOne(stores.registry, 'alice', entry, { now, user });
    expect(await tokenStatus()).toMatchObject({ user: 'enabled' });
    expect(asked).toEqual(['alice']);
  });

  test('replaces a cached status that expires too late, after one question to the directory', async () => {
    const now = clock.now();
    await registerOne(stores.registry, 'alice', { jti: 'j1', keyId: 1, iat: IAT, exp: IAT + 3600 }, { now });
    await tokenStatus();
    const [sub] = asked.splice(0);
    const { user } = await stores.registry.tokenStatus('alice', { jti: 'j1', keyId: 1, iat: IAT }, now);
    expect([sub, user?.until]).toEqual(['alice', now + 60]);
    await stores.registry.setUserStatus('alice', { ...(user as KnownUserStatus), until: now + 66 }, now);
    await tokenStatus();
    await tokenStatus();
    expect(asked).toEqual(['alice']);
  });

  test('has no entry for a token that is not registered', async () => {
    expect(await tokenStatus()).toMatchObject({ entry: null, revoked: false });
  });

  test('asks the directory if no status is cached, and caches the answer', async () => {
    await register();
    expect(await tokenStatus()).toEqual({ entry, user: 'enabled', revoked: false });
    expect(await tokenStatus()).toEqual({ entry, user: 'enabled', revoked: false });
    expect(asked).toEqual(['alice']);
  });

  test('asks the directory again after the cached status expires', async () => {
    await register('enabled');
    clock.advance(59);
    await tokenStatus();
    expect(asked).toEqual([]);
    clock.advance(1);
    await tokenStatus();
    expect(asked).toEqual(['alice']);
    clock.advance(59);
    await tokenStatus();
    expect(asked).toEqual(['alice']);
  });

  test('finds a removed user as unknown', async () => {
    await register();
    await stores.database.users.remove('alice');
    expect(await tokenStatus()).toMatchObject({ user: 'unknown' });
  });

  test.each(['user_disabled', 'user_enabled'] as const)(
    'asks the directory until the cached status matches a %s event',
    async (type) => {
      await register('enabled');
      await stores.database.users.setStatus('alice', 'disabled', clock.now());
      if (type === 'user_enabled') await stores.database.users.setStatus('alice', 'enabled', clock.now());
      const user = type === 'user_enabled' ? 'enabled' : 'disabled';
      await append({ type, userVersion: type === 'user_enabled' ? 3 : 2 });
      for (let round = 0; round < 2; round++) expect(await tokenStatus()).toMatchObject({ user });
      expect(asked).toEqual(['alice']);
      await append({ type: 'user_removed', userVersion: 4 });
      await stores.database.users.remove('alice');
      for (let round = 0; round < 2; round++) expect(await tokenStatus()).toMatchObject({ user: 'unknown' });
      expect(asked).toEqual(['alice', 'alice', 'alice']);
    },
  );

  test('does not ask the directory for a revocation', async () => {
    await register('enabled');
    await append({ type: 'token_revoked', jti: 'j1' });
    expect(await tokenStatus()).toEqual({ entry, user: 'enabled', revoked: true });
    expect(asked).toEqual([]);
  });

  test("ignores another subject's and another key's events", async () => {
    await register('enabled');
    await append({ type: 'subject_revoked', sub: 'bob', issuedBefore: IAT });
    await append({ type: 'user_disabled', sub: 'Alice', userVersion: 2 });
    await stores.database.securityLog.append({
      type: 'kid_revoked',
      kid: 'k2',
      issuedBefore: IAT,
      reason: null,
      at: IAT,
      expiresAt: IAT + 9_999,
    });
    expect(await tokenStatus()).toEqual({ entry, user: 'enabled', revoked: false });
    expect(asked).toEqual([]);
  });

  test('returns the status even if the registry cannot cache it', async () => {
    await register();
    const full = new JwtctlError('ERR_REDIS_OUT_OF_MEMORY', 'Redis accepts no writes.');
    stores.registry.setUserStatus = () => Promise.reject(full);
    expect(await tokenStatus()).toEqual({ entry, user: 'enabled', revoked: false });
  });

  test('does not write a status that is cached already', async () => {
    await register('enabled');
    // The directory does not have this change yet.
    await append({ type: 'user_disabled', userVersion: 2 });
    stores.registry.setUserStatus = () => Promise.reject(new Error('a needless write'));
    expect(await tokenStatus()).toMatchObject({ user: 'enabled' });
  });

  test('fails if the directory does not answer', async () => {
    await register();
    const failure = new Error('the directory is down');
    users.find = () => Promise.reject(failure);
    await expect(tokenStatus()).rejects.toBe(failure);
  });
});

describe('while the directory does not answer', () => {
  const NOW = IAT;
  const GRACE = { ...POLICY, graceSeconds: 300 };
  const known = (status: 'enabled' | 'disabled', version: number, until = NOW + 60): KnownUserStatus => ({
    ...{ status, version, until },
  });
  const disabled = { type: 'user_disabled', version: 2 } as const;
  const forged = known('enabled', Number.MAX_SAFE_INTEGER);

  test.each([
    { what: 'nothing is known', told: null, cached: null, change: null, is: null },
    { what: 'the log has them disabled', told: null, cached: null, change: disabled, is: 'disabled' },
    { what: 'a forged status is cached', told: null, cached: forged, change: disabled, is: 'disabled' },
    {
      what: 'the directory answered before the log changed',
      told: known('enabled', 1),
      cached: null,
      change: disabled,
      is: 'disabled',
    },
    {
      what: 'the directory answered after the log changed',
      told: known('enabled', 3),
      cached: null,
      change: disabled,
      is: 'enabled',
    },
    {
      what: 'another process has a newer answer',
      told: known('enabled', 1),
      cached: known('disabled', 2),
      change: null,
      is: 'disabled',
    },
    {
      what: 'only a cached status is known',
      told: null,
      cached: known('enabled', 1),
      change: null,
      is: 'enabled',
    },
    {
      what: 'the status expired within the grace period',
      told: known('enabled', 1, NOW - 299),
      cached: null,
      change: null,
      is: 'enabled',
    },
    {
      what: 'the grace period is over',
      told: known('enabled', 1, NOW - 300),
      cached: null,
      change: null,
      is: null,
    },
    {
      what: 'the status is valid for too long',
      told: null,
      cached: known('enabled', 1, NOW + 66),
      change: null,
      is: null,
    },
  ])('is $is if $what', ({ told, cached, change, is }) => {
    expect(statusMeanwhile({ answer: told, cached, change }, NOW, GRACE)).toBe(is);
  });

  test('ignores cached statuses of a directory whose changes are not in the log', () => {
    const policy = { ...GRACE, logsUserChanges: false };
    expect(statusMeanwhile({ answer: null, cached: forged, change: null }, NOW, policy)).toBeNull();
    const told = known('disabled', 0);
    expect(statusMeanwhile({ answer: told, cached: forged, change: null }, NOW, policy)).toBe('disabled');
  });
});
