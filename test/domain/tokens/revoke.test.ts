import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SecurityEvent, TokenRegistry } from '../../../src/domain/ports/index.js';
import { eventExpiry } from '../../../src/domain/security-log/record.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import {
  countGlobal,
  revokeGlobally,
  revokeSubject,
  revokeToken,
} from '../../../src/domain/tokens/revoke.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';
import { registerOne } from '../../support/registering.js';

const OPTIONS = { reason: 'lost phone', dryRun: false };
const DRY_RUN = { reason: null, dryRun: true };

let service: EmbeddedService;

beforeEach(async () => {
  service = await openEmbeddedService();
});
afterEach(() => service.close());

const outage = () => Promise.reject(new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is down.'));

const readOnly: Partial<TokenRegistry> = { remove: outage, removeEverywhere: outage, setUserStatus: outage };
const unreachable: Partial<TokenRegistry> = {
  ...readOnly,
  list: outage,
  tokenStatus: outage,
  scan: outage,
};

async function events(jti: string | null = null): Promise<SecurityEvent[]> {
  return service.database.securityLog.findConcerning({ sub: 'alice', kid: 'k1', jti });
}

async function audited(): Promise<string[]> {
  const rows = await service.db.selectFrom('audit_log').selectAll().orderBy('seq').execute();
  return rows
    .filter(({ action }) => action === 'token.revoke')
    .map(({ target, reason }) => `${target}: ${reason}`);
}

async function liveJtis(sub: string): Promise<string[]> {
  return (await service.registry.list(sub, service.clock.now())).map(({ jti }) => jti);
}

describe('revoking one token', () => {
  test('ends only that token of the subject', async () => {
    const first = await service.issueTo('alice');
    const second = await service.issueTo('alice');
    expect(await revokeToken(service.ports, POLICY, { sub: 'alice', jti: first.jti }, OPTIONS)).toEqual({
      revoked: 1,
      sessions: 0,
      alreadyGone: 0,
      replicasConfirmed: 0,
      complete: true,
      missed: [],
      eventId: 1,
    });
    expect(await service.verdict(first.token)).toBe('ERR_TOKEN_REVOKED');
    expect(await service.verdict(second.token)).toBe('active');
    expect(await liveJtis('alice')).toEqual([second.jti]);
    expect(await audited()).toEqual([`alice ${first.jti}: lost phone`]);
  });

  test('again reports it as already gone', async () => {
    const { token, jti } = await service.issueTo('alice');
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti }, OPTIONS);
    expect(await revokeToken(service.ports, POLICY, { sub: 'alice', jti }, OPTIONS)).toMatchObject({
      revoked: 0,
      alreadyGone: 1,
    });
    expect(await service.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });

  test('applies even if the registry loses the removal', async () => {
    const { token, jti, iat, exp } = await service.issueTo('alice');
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti }, OPTIONS);
    const { id: keyId } = (await service.database.keys.find('k1')) ?? expect.unreachable();
    await registerOne(service.registry, 'alice', { jti, keyId, iat, exp }, { now: service.clock.now() });
    expect(await liveJtis('alice')).toEqual([jti]);
    expect(await service.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });

  test('is recorded until all covered tokens have expired', async () => {
    const { jti } = await service.issueTo('alice');
    const now = service.clock.now();
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti }, OPTIONS);
    const [event] = await events(jti);
    expect(event).toMatchObject({ type: 'token_revoked', jti, reason: 'lost phone', at: now });
    expect(event?.expiresAt).toBeGreaterThanOrEqual(
      now + POLICY.maxTtlSeconds + POLICY.clockToleranceSeconds,
    );
  });

  test('only counts in a dry run', async () => {
    const { token, jti } = await service.issueTo('alice');
    expect(await revokeToken(service.ports, POLICY, { sub: 'alice', jti }, DRY_RUN)).toMatchObject({
      revoked: 1,
      alreadyGone: 0,
    });
    expect(await revokeToken(service.ports, POLICY, { sub: 'alice', jti: 'other' }, DRY_RUN)).toMatchObject({
      revoked: 0,
      alreadyGone: 1,
    });
    expect(await service.verdict(token)).toBe('active');
    expect(await events()).toEqual([]);
    expect(await audited()).toEqual([]);
  });
});

describe('revoking a subject', () => {
  test('ends all of its tokens, and no others', async () => {
    const tokens = [await service.issueTo('alice'), await service.issueTo('alice')];
    const bob = await service.issueTo('bob');
    const lookalike = await service.issueTo('Alice');
    expect(await revokeSubject(service.ports, POLICY, { sub: 'alice' }, OPTIONS)).toMatchObject({
      revoked: 2,
    });
    for (const { token } of tokens) expect(await service.verdict(token)).toBe('ERR_TOKEN_REVOKED');
    expect(await service.verdict(bob.token)).toBe('active');
    expect(await service.verdict(lookalike.token)).toBe('active');
  });

  test('ends tokens from a host whose clock is ahead', async () => {
    const now = service.clock.now();
    const entry = { jti: 'ahead', keyId: 1, iat: now + 4, exp: now + 600 };
    await registerOne(service.registry, 'alice', entry, { now });
    expect(await revokeSubject(service.ports, POLICY, { sub: 'alice' }, OPTIONS)).toMatchObject({
      revoked: 1,
    });
    expect(await events()).toMatchObject([{ issuedBefore: now + 4 }]);
  });

  test('with issuedBefore ends tokens issued then or earlier', async () => {
    const first = await service.issueTo('alice');
    service.clock.advance(10);
    const second = await service.issueTo('alice');
    const input = { sub: 'alice', issuedBefore: second.iat - 1 };
    expect(await revokeSubject(service.ports, POLICY, input, DRY_RUN)).toMatchObject({ revoked: 1 });
    expect(await revokeSubject(service.ports, POLICY, input, OPTIONS)).toMatchObject({ revoked: 1 });
    expect(await service.verdict(first.token)).toBe('ERR_TOKEN_REVOKED');
    expect(await service.verdict(second.token)).toBe('active');
    await revokeSubject(service.ports, POLICY, { sub: 'alice', issuedBefore: second.iat }, OPTIONS);
    expect(await service.verdict(second.token)).toBe('ERR_TOKEN_REVOKED');
  });

  test('is recorded even if the subject is unknown', async () => {
    expect(await revokeSubject(service.ports, POLICY, { sub: 'alice' }, OPTIONS)).toMatchObject({
      revoked: 0,
    });
    expect(await events()).toMatchObject([{ type: 'subject_revoked', issuedBefore: service.clock.now() }]);
  });
});

describe('revoking many', () => {
  test('ends the tokens of every subject under a key', async () => {
    const tokens = [await service.issueTo('alice'), await service.issueTo('bob')];
    const key = (await service.database.keys.find('k1')) ?? expect.unreachable();
    const counted = await countGlobal(service.ports, POLICY, { key });
    expect(counted).toMatchObject({
      matched: 2,
      subjects: 2,
      issuedBefore: service.clock.now(),
      complete: true,
    });
    const { issuedBefore } = counted;
    expect(await revokeGlobally(service.ports, POLICY, { key, issuedBefore }, OPTIONS)).toMatchObject({
      revoked: 2,
    });
    for (const { token } of tokens) expect(await service.verdict(token)).toBe('ERR_TOKEN_REVOKED');
    expect(await events()).toMatchObject([{ type: 'kid_revoked', kid: 'k1', issuedBefore }]);
  });

  test('with issuedBefore ends tokens of every subject issued then or earlier', async () => {
    const early = await service.issueTo('alice');
    service.clock.advance(10);
    const late = await service.issueTo('bob');
    const selection = { issuedBefore: early.iat };
    expect(await countGlobal(service.ports, POLICY, selection)).toMatchObject({
      matched: 1,
      issuedBefore: early.iat,
    });
    expect(await revokeGlobally(service.ports, POLICY, selection, OPTIONS)).toMatchObject({ revoked: 1 });
    expect(await service.verdict(early.token)).toBe('ERR_TOKEN_REVOKED');
    expect(await service.verdict(late.token)).toBe('active');
    expect(await events()).toMatchObject([{ type: 'all_revoked', kid: null, issuedBefore: early.iat }]);
  });

  test.each(['a key', 'everything', 'a subject'])(
    'of %s with an entry in the future keeps a token that is issued during the removal',
    async (what) => {
      const { registry, clock } = service;
      const old = await service.issueTo('alice');
      const key = (await service.database.keys.find('k1')) ?? expect.unreachable();
      const iat = clock.now() + 600;
      const entry = { jti: 'ahead', keyId: key.id, iat, exp: iat + 60 };
      await registerOne(registry, 'alice', entry, { now: clock.now() });
      const selection = what === 'a key' ? { key } : {};
      const { issuedBefore, ahead } = await countGlobal(service.ports, POLICY, selection);
      const issued: string[] = [];
      const issueMeanwhile = async () => {
        clock.advance(20);
        issued.push((await service.issueTo('alice')).token);
      };
      const ports = service.withRegistry({
        removeEverywhere: async (...args) => {
          await issueMeanwhile();
          return registry.removeEverywhere(...args);
        },
        remove: async (...args) => {
          await issueMeanwhile();
          return registry.remove(...args);
        },
      });
      const outcome =
        what === 'a subject'
          ? await revokeSubject(ports, POLICY, { sub: 'alice' }, OPTIONS)
          : await revokeGlobally(ports, POLICY, { ...selection, issuedBefore, ahead }, OPTIONS);
      expect(outcome).toMatchObject({ revoked: 2, complete: true });
      expect(await service.verdict(old.token)).toBe('ERR_TOKEN_REVOKED');
      for (const token of issued) expect(await service.verdict(token)).toBe('active');
      expect(await liveJtis('alice')).toHaveLength(issued.length);
    },
  );

  test('includes the largest registered iat, for hosts whose clocks are ahead', async () => {
    const now = service.clock.now();
    await registerOne(
      service.registry,
      'alice',
      { jti: 'a', keyId: 1, iat: now + 3, exp: now + 60 },
      { now },
    );
    expect(await countGlobal(service.ports, POLICY, {})).toMatchObject({ issuedBefore: now + 3 });
  });
});

describe('while the registry is down', () => {
  const recorded = { kind: 'unavailable', code: 'ERR_RECORDED_NOT_APPLIED' };

  test.each([
    { name: 'accepts no writes', overrides: readOnly },
    { name: 'cannot be reached', overrides: unreachable },
  ])('and $name, a revocation is recorded and applies', async ({ overrides }) => {
    const alice = await service.issueTo('alice');
    const bob = await service.issueTo('bob');
    const ports = service.withRegistry(overrides);

    await expect(revokeToken(ports, POLICY, { sub: 'alice', jti: alice.jti }, OPTIONS)).rejects.toMatchObject(
      recorded,
    );
    expect(await service.verdict(alice.token)).toBe('ERR_TOKEN_REVOKED');

    await expect(revokeSubject(ports, POLICY, { sub: 'bob' }, OPTIONS)).rejects.toMatchObject(recorded);
    expect(await service.verdict(bob.token)).toBe('ERR_TOKEN_REVOKED');

    service.clock.advance(1);
    const carol = await service.issueTo('carol');
    const { issuedBefore } = await countGlobal(ports, POLICY, {});
    await expect(revokeGlobally(ports, POLICY, { issuedBefore }, OPTIONS)).rejects.toMatchObject(recorded);
    expect(await service.verdict(carol.token)).toBe('ERR_TOKEN_REVOKED');
    expect(await audited()).toHaveLength(3);
  });

  test('counting reports an incomplete count of 0', async () => {
    const now = service.clock.now();
    expect(await countGlobal(service.withRegistry(unreachable), POLICY, {})).toMatchObject({
      matched: 0,
      complete: false,
      issuedBefore: now + POLICY.clockToleranceSeconds,
    });
  });

  test('a repeated revocation removes the entry once the registry is back', async () => {
    const { token, jti } = await service.issueTo('alice');
    const revoke = (ports: typeof service.ports) =>
      revokeToken(ports, POLICY, { sub: 'alice', jti }, OPTIONS);
    await expect(revoke(service.withRegistry(unreachable))).rejects.toMatchObject(recorded);
    expect(await revoke(service.ports)).toMatchObject({ revoked: 1 });
    expect(await liveJtis('alice')).toEqual([]);
    expect(await service.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });

  test('a defect of the registry is not reported as an outage', async () => {
    const defect = new TypeError('a defect');
    const ports = service.withRegistry({ remove: () => Promise.reject(defect) });
    await expect(revokeSubject(ports, POLICY, { sub: 'alice' }, OPTIONS)).rejects.toBe(defect);
  });

  test('a repeated revocation adds no event, and removes what has come back', async () => {
    const { jti, iat, exp } = await service.issueTo('alice');
    const [entry] = await service.registry.list('alice', iat);
    const family = 'f'.repeat(22);
    const events = () => service.db.selectFrom('security_log').select('id').execute();
    const ids: Array<number | null> = [];
    for (let times = 0; times < 3; times++) {
      const own = { jti, iat, exp, keyId: entry?.keyId ?? 0 };
      await service.registry.registerMany([{ sub: 'alice', entry: own, now: iat }]);
      const outcome = await revokeToken(service.ports, POLICY, { sub: 'alice', jti }, OPTIONS);
      expect(outcome.revoked).toBe(1);
      ids.push(outcome.eventId);
      await revokeToken(service.ports, POLICY, { sub: 'alice', jti: `${family}.${times}` }, OPTIONS);
      await revokeSubject(service.ports, POLICY, { sub: 'bob', issuedBefore: iat - times }, OPTIONS);
    }
    expect(new Set(ids).size).toBe(1);
    expect(await events()).toHaveLength(3);
    await revokeSubject(service.ports, POLICY, { sub: 'bob', issuedBefore: iat - 1, except: jti }, OPTIONS);
    await revokeSubject(service.ports, POLICY, { sub: 'bob', issuedBefore: iat + 1 }, OPTIONS);
    await revokeToken(service.ports, POLICY, { sub: 'bob', jti }, OPTIONS);
    expect(await events()).toHaveLength(6);
  });

  test('nothing is removed if the event cannot be recorded', async () => {
    const { token, jti } = await service.issueTo('alice');
    await service.db.schema.dropTable('security_log').execute();
    await expect(revokeToken(service.ports, POLICY, { sub: 'alice', jti }, OPTIONS)).rejects.toThrow();
    expect(await liveJtis('alice')).toEqual([jti]);
    await expect(service.verify(token)).rejects.toThrow();
  });
});

describe('eventExpiry', () => {
  test('is calculated from the longest lifetime of any key or the policy', () => {
    const policy = { maxTtlSeconds: 100, refreshTtlSeconds: 50, clockToleranceSeconds: 5 };
    const longest = (tokenSeconds: number | null, refreshTokenSeconds = 0) =>
      eventExpiry({ tokenSeconds, refreshTokenSeconds }, policy, 1000);
    const short = longest(50).expiresAt;
    expect(short).toBeGreaterThanOrEqual(1000 + 100 + 5);
    expect(longest(900).expiresAt - short).toBe(800);
    expect(longest(null)).toEqual({ verifiersUntil: short, expiresAt: short });
    expect(longest(null, 700)).toEqual({ verifiersUntil: short, expiresAt: short + 600 });
  });

  test('includes refresh tokens, which verifiers do not see', () => {
    const policy = { maxTtlSeconds: 100, refreshTtlSeconds: 5_000, clockToleranceSeconds: 5 };
    const { verifiersUntil, expiresAt } = eventExpiry(
      { tokenSeconds: null, refreshTokenSeconds: 0 },
      policy,
      1000,
    );
    expect(verifiersUntil).toBeGreaterThanOrEqual(1000 + 100 + 5);
    expect(expiresAt - verifiersUntil).toBe(4_900);
  });
});
