import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RegistryEntry, ScannedSubject, TokenRegistry, User } from '../../../src/domain/ports/index.js';
import { inspectRegistry, inspectSubject } from '../../../src/domain/registry/inspect.js';
import type { InspectionInput } from '../../../src/domain/registry/inspection.js';
import { CLOCK_TOLERANCE_SECONDS } from '../../support/embedded.js';
import { type EmbeddedService, openEmbeddedService } from '../../support/embedded-service.js';
import { signingKey } from '../../support/signing-keys.js';

const active = signingKey({ kid: 'this-year', state: 'active' });
const retiring = signingKey({ kid: 'last-year', state: 'retiring' });
const compromised = signingKey({ kid: 'leaked', state: 'compromised' });
const KEYS = [active, retiring, compromised];

let service: EmbeddedService;
let registry: TokenRegistry;
let now: number;

beforeEach(async () => {
  service = await openEmbeddedService();
  registry = service.registry;
  now = service.clock.now();
});
afterEach(() => service.close());

function entry(jti: string, parts: Partial<RegistryEntry> = {}): RegistryEntry {
  return { jti, keyId: active.id, iat: now - 10, exp: now + 3600, ...parts };
}

async function register(sub: string, ...entries: RegistryEntry[]): Promise<void> {
  for (const one of entries) await registry.register(sub, one, { now });
}

function input(parts: Partial<InspectionInput> = {}): InspectionInput {
  return { now, top: 10, clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS, ...parts };
}

/** A registry that shows these subjects, in these portions, and nothing else. */
function showing(portions: ScannedSubject[][], nodes = ['a:1']): TokenRegistry {
  return service.withRegistry({
    scan: async (take) => {
      for (const portion of portions) await take(portion);
      return {
        complete: true,
        missed: [],
        nodes: nodes.map((node) => ({ node, role: 'master', slots: 16_384, usedMemoryBytes: 1 })),
      };
    },
  }).registry;
}

function surveyed(sub: string, parts: Partial<ScannedSubject> = {}): ScannedSubject {
  const entries = [{ ...entry('a'), label: null }];
  const whole = { isLast: true, malformed: 0, bytes: null, details: null };
  return { sub, node: 'a:1', entries, ...whole, ...parts };
}

/** `count` entries that are alike. */
function many(count: number): ScannedSubject['entries'] {
  return Array.from({ length: count }, (_, index) => ({ ...entry(`j${index}`), label: null }));
}

describe('an inspection of the whole registry', () => {
  test('counts entries and subjects, by key and in all', async () => {
    await register('alice', entry('a'), entry('b'), entry('c', { keyId: retiring.id }));
    await register('bob', entry('a', { keyId: compromised.id }), entry('b', { keyId: 999_999 }));
    await register('carol', entry('a'));

    expect(await inspectRegistry(registry, KEYS, input())).toMatchObject({
      ...{ backend: 'sqlite', prefix: '', complete: true, missed: [], entries: 6, subjects: 3 },
      byKid: [
        { kid: 'this-year', state: 'active', entries: 3 },
        { kid: 'last-year', state: 'retiring', entries: 1 },
        { kid: 'leaked', state: 'compromised', entries: 1 },
        { kid: null, keyId: 999_999, state: null, entries: 1 },
      ],
      byNode: [{ node: 'jwtctl.db', role: 'embedded', slots: null, entries: 6, usedMemoryBytes: null }],
      topSubjects: [
        { sub: 'alice', entries: 3 },
        { sub: 'bob', entries: 2 },
        { sub: 'carol', entries: 1 },
      ],
      anomalies: { noTtl: null, ttlMismatch: null, unknownKid: 1, unknownUser: null, malformed: 0 },
    });
  });

  test('of nothing is complete and all zeros', async () => {
    const report = await inspectRegistry(registry, KEYS, input());
    expect(report).toMatchObject({ complete: true, entries: 0, subjects: 0, bytes: 0, byKid: [] });
    expect(report.ttl.map(({ entries }) => entries)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test('puts each lifetime to the right side of its bound', async () => {
    // Within the clock tolerance an entry outlives its token.
    const left = [-4, 0, 60, 61, 300, 301, 900, 901, 3_600, 3_601, 21_600, 21_601, 86_400, 86_401, 604_800];
    await register('alice', ...left.map((seconds) => entry(`j${seconds}`, { exp: now + seconds })));
    await register('bob', entry('long', { exp: now + 604_801 }), entry('gone', { exp: now - 5 }));

    const { ttl, entries } = await inspectRegistry(registry, KEYS, input());
    expect(entries).toBe(16);
    expect(ttl).toEqual([
      { leSeconds: 60, entries: 3 },
      { leSeconds: 300, entries: 2 },
      { leSeconds: 900, entries: 2 },
      { leSeconds: 3_600, entries: 2 },
      { leSeconds: 21_600, entries: 2 },
      { leSeconds: 86_400, entries: 2 },
      { leSeconds: 604_800, entries: 2 },
      { leSeconds: null, entries: 1 },
    ]);
  });

  test('names the subjects with the most entries, in the order of their names among equals', async () => {
    await register('a', entry('1'));
    await register('d', entry('1'), entry('2'));
    await register('b', entry('1'), entry('2'));
    await register('c', entry('1'), entry('2'), entry('3'));

    const { topSubjects } = await inspectRegistry(registry, KEYS, input({ top: 3 }));
    expect(topSubjects).toEqual([
      { sub: 'c', entries: 3 },
      { sub: 'b', entries: 2 },
      { sub: 'd', entries: 2 },
    ]);
    expect((await inspectRegistry(registry, KEYS, input({ top: 0 }))).topSubjects).toEqual([]);
  });

  test('counts a subject that comes in parts once', async () => {
    await register('alice', entry('a'));
    for (let from = 0; from < 1_050; from += 350) {
      const some = Array.from({ length: 350 }, (_, index) => entry(`j${from + index}`));
      await Promise.all(some.map((one) => registry.register('bob', one, { now })));
    }
    await register('carol', entry('c'));

    const report = await inspectRegistry(registry, KEYS, {
      ...input(),
      deep: { users: service.database.users },
    });
    expect(report).toMatchObject({ entries: 1_052, subjects: 3 });
    expect(report.topSubjects[0]).toEqual({ sub: 'bob', entries: 1_050 });
    expect(report.anomalies).toEqual({
      ...{ noTtl: 0, ttlMismatch: 0, unknownKid: 0, unknownUser: 3, malformed: 0 },
    });
  });

  test('of one key counts what is under it, and nothing of subjects without', async () => {
    const details = { expiresAt: null, expired: 0, user: null };
    const under = { ...entry('b', { keyId: retiring.id }), label: null };
    const shown = [
      surveyed('alice', { entries: [...many(2), under], malformed: 2, details }),
      surveyed('bob', { entries: many(3), malformed: 4, details }),
      surveyed('carol', { entries: [], malformed: 8, details }),
    ];
    const report = await inspectRegistry(showing([shown]), KEYS, {
      ...input({ key: retiring }),
      deep: { users: service.database.users },
    });
    expect(report).toMatchObject({
      ...{ entries: 1, subjects: 1, byKid: [{ kid: 'last-year', entries: 1 }] },
      byNode: [{ node: 'a:1', entries: 1 }],
      topSubjects: [{ sub: 'alice', entries: 1 }],
      anomalies: { noTtl: 1, ttlMismatch: 0, unknownKid: 0, unknownUser: 1, malformed: 2 },
    });
    expect(report.ttl.reduce((sum, { entries }) => sum + entries, 0)).toBe(1);
  });

  test('counts what a master held that is none any more', async () => {
    const shown = [surveyed('alice'), surveyed('bob', { node: 'b:2' })];
    const { entries, byNode } = await inspectRegistry(showing([shown]), KEYS, input());
    expect(entries).toBe(2);
    expect(byNode).toEqual([
      { node: 'a:1', role: 'master', slots: 16_384, entries: 1, usedMemoryBytes: 1 },
      { node: 'b:2', role: 'gone', slots: null, entries: 1, usedMemoryBytes: null },
    ]);
  });

  test('that was interrupted says that it is not complete', async () => {
    await register('alice', entry('a'));
    const report = await inspectRegistry(registry, KEYS, input({ signal: AbortSignal.abort() }));
    expect(report).toMatchObject({ complete: false, entries: 0 });
    expect(report.missed).toHaveLength(1);
  });

  test('tells how far it is, and how many entries it has seen', async () => {
    await register('alice', entry('a'), entry('b'));
    const told: unknown[] = [];
    await inspectRegistry(registry, KEYS, input({ onProgress: (progress) => told.push(progress) }));
    expect(told).toEqual([{ unit: 'subjects', done: 1, total: null, entries: 2 }]);
  });

  test('tells apart what was issued before this look, and before an earlier one', async () => {
    await register('alice', entry('a', { iat: now - 20 }), entry('b', { iat: now - 19 }));
    await register(
      'bob',
      entry('c', { iat: now - 1 }),
      entry('d', { iat: now }),
      entry('e', { iat: now + 9 }),
    );
    expect((await inspectRegistry(registry, KEYS, input())).issuedBefore).toEqual({ now: 3, since: null });
    const { issuedBefore } = await inspectRegistry(registry, KEYS, input({ since: now - 19 }));
    expect(issuedBefore).toEqual({ now: 3, since: 1 });
  });
});

describe('memory', () => {
  const bytesOf = async (...shown: ScannedSubject[]) =>
    (await inspectRegistry(showing([shown]), KEYS, input())).bytes;

  test('is estimated from the subjects of about the same size', async () => {
    expect(
      await bytesOf(
        surveyed('small', { entries: many(1), bytes: 200 }),
        surveyed('small-too', { entries: many(1) }),
        surveyed('large', { entries: many(300), bytes: 15_000 }),
        surveyed('larger', { entries: many(500) }),
      ),
    ).toBe(200 + 200 + 15_000 + 25_000);
  });

  test('falls back on the average where none of that size was measured', async () => {
    expect(
      await bytesOf(surveyed('a', { entries: many(2), bytes: 100 }), surveyed('b', { entries: many(100) })),
    ).toBe(100 + 5_000);
  });

  test('is not known where nothing was measured', async () => {
    expect(await bytesOf(surveyed('a'))).toBeNull();
  });
});

describe('a deep inspection', () => {
  const deep = (shown: ScannedSubject[]) =>
    inspectRegistry(showing([shown]), KEYS, { ...input(), deep: { users: service.database.users } });
  const details = (expiresAt: number | null) => ({ expiresAt, expired: 0, user: null });
  const end = () => now + 3600 + CLOCK_TOLERANCE_SECONDS;

  test('finds what never expires, and what expires at another time than with its last entry', async () => {
    const later = { ...entry('b', { exp: now + 9_000 }), label: null };
    const { anomalies } = await deep([
      surveyed('in-time', { details: details(end()) }),
      surveyed('two', {
        entries: [later, ...many(1)],
        details: details(now + 9_000 + CLOCK_TOLERANCE_SECONDS),
      }),
      surveyed('too-early', { details: details(end() - 1) }),
      surveyed('too-late', { details: details(end() + 1) }),
      surveyed('never', { details: details(null) }),
      surveyed('nothing-alive', { entries: [], details: details(now + 1) }),
      surveyed('nothing-alive-for-ever', { entries: [], details: details(null) }),
      surveyed('about-to-go', { entries: [], details: details(now) }),
    ]);
    expect(anomalies).toMatchObject({ noTtl: 2, ttlMismatch: 3 });
  });

  test('knows the last entry of a subject that comes in parts', async () => {
    const last = { ...entry('b', { exp: now + 9_000 }), label: null };
    const { anomalies, subjects } = await deep([
      surveyed('alice', { isLast: false, details: details(now + 9_000 + CLOCK_TOLERANCE_SECONDS) }),
      surveyed('bob', { details: details(end()) }),
      surveyed('alice', { isLast: false, entries: [last] }),
      surveyed('alice'),
    ]);
    expect(subjects).toBe(2);
    expect(anomalies).toMatchObject({ noTtl: 0, ttlMismatch: 0 });
  });

  test('does not hold against a subject what is issued while its parts are read', async () => {
    const { anomalies } = await deep([
      surveyed('alice', { isLast: false, details: details(end()) }),
      surveyed('alice', {
        entries: [{ ...entry('new', { iat: now, exp: now + 9_000 }), label: null }],
      }),
    ]);
    expect(anomalies.ttlMismatch).toBe(0);
  });

  test('counts subjects with entries that are no users; a disabled user is one', async () => {
    const { users } = service.database;
    for (const sub of ['known', 'disabled']) await users.add({ sub, name: null, at: now });
    await users.setStatus('disabled', 'disabled', now);
    for (const sub of ['known', 'disabled', 'stranger', 'Known']) await register(sub, entry('a'));
    await register('expired-stranger', entry('a', { exp: now - 5 }));

    const report = await inspectRegistry(registry, KEYS, { ...input(), deep: { users } });
    expect(report.anomalies).toMatchObject({ unknownUser: 2, noTtl: 0, ttlMismatch: 0 });
  });

  test('asks for many users at once, once each, and never for all in one', async () => {
    const asked: number[] = [];
    const users = {
      findMany: async (subs: readonly string[]) => {
        asked.push(subs.length);
        return new Map<string, User>();
      },
    };
    const portions = Array.from({ length: 30 }, (_, portion) =>
      Array.from({ length: 100 }, (_, index) => surveyed(`user-${portion}-${index}`)),
    );
    const report = await inspectRegistry(showing(portions), KEYS, { ...input(), deep: { users } });
    expect(report.anomalies.unknownUser).toBe(3_000);
    expect(asked.reduce((sum, count) => sum + count)).toBe(3_000);
    expect(asked.length).toBeLessThanOrEqual(10);
    expect(Math.max(...asked)).toBeLessThanOrEqual(1_000);
  });
});

test('a user directory that fails ends a deep inspection', async () => {
  const users = { findMany: () => Promise.reject(new Error('The database is away.')) };
  const portions = Array.from({ length: 12 }, (_, portion) =>
    Array.from({ length: 100 }, (_, index) => surveyed(`user-${portion}-${index}`)),
  );
  for (const shown of [portions, portions.slice(0, 1)]) {
    const inspected = inspectRegistry(showing(shown), KEYS, { ...input(), deep: { users } });
    await expect(inspected).rejects.toThrow('The database is away.');
  }
});

describe('an inspection of one subject', () => {
  const inspect = (sub: string, parts: Partial<InspectionInput> = {}) =>
    inspectSubject({ registry, users: service.database.users }, KEYS, { ...input(parts), sub });

  test('tells where it is, what it takes, when it expires and what its user is', async () => {
    await service.database.users.add({ sub: 'alice', name: null, at: now });
    const user = { status: 'enabled', version: 1, until: now + 60 } as const;
    await registry.register('alice', entry('a', { keyId: retiring.id }), { now, user });
    await register('alice', entry('b', { exp: now + 50 }), entry('expired', { exp: now - 5 }));
    await register('bob', entry('c'));

    const report = await inspect('alice');
    expect(report).toMatchObject({
      ...{ complete: true, entries: 2, subjects: 1, topSubjects: [{ sub: 'alice', entries: 2 }] },
      byNode: [{ node: 'jwtctl.db', role: 'embedded', entries: 2 }],
      anomalies: { noTtl: 0, ttlMismatch: 0, unknownKid: 0, unknownUser: 0, malformed: 0 },
      subject: {
        ...{ sub: 'alice', node: 'jwtctl.db', expiresAt: now + 3600 + CLOCK_TOLERANCE_SECONDS },
        ...{ userStatus: 'enabled', cachedUser: user },
      },
    });
    expect(report.bytes).toBeGreaterThan(50);
    expect((await inspect('alice', { key: retiring })).entries).toBe(1);
  });

  test('of whom nothing is kept is all zeros, user or not', async () => {
    expect(await inspect('nobody')).toMatchObject({
      ...{ entries: 0, subjects: 0, bytes: 0 },
      anomalies: { noTtl: 0, ttlMismatch: 0, unknownUser: 0 },
      subject: { node: 'jwtctl.db', expiresAt: null, expired: 0, userStatus: 'unknown', cachedUser: null },
    });
  });

  test('who is no user is an anomaly while there are entries', async () => {
    await register('stranger', entry('a'));
    const report = await inspect('stranger');
    expect(report.anomalies.unknownUser).toBe(1);
    expect(report.subject.userStatus).toBe('unknown');
  });
});
