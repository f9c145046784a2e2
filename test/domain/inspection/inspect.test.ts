import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inspectRegistry, inspectSubject } from '../../../src/domain/inspection/inspect.js';
import type { InspectionInput } from '../../../src/domain/inspection/types.js';
import type { RegistryEntry, ScannedSubject, TokenRegistry, User } from '../../../src/domain/ports/index.js';
import { CLOCK_TOLERANCE_SECONDS } from '../../support/embedded.js';
import { type EmbeddedService, openEmbeddedService } from '../../support/embedded-service.js';
import { registerOne } from '../../support/registering.js';
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
  for (const one of entries) await registerOne(registry, sub, one, { now });
}

function input(parts: Partial<InspectionInput> = {}): InspectionInput {
  return { now, top: 10, clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS, ...parts };
}

/** Returns a registry whose scan yields these subjects in these portions. */
function showing(portions: ScannedSubject[][], nodes = ['a:1']): TokenRegistry {
  return service.withRegistry({
    scan: async (onSubjects) => {
      for (const portion of portions) await onSubjects(portion);
      return {
        complete: true,
        missed: [],
        nodes: nodes.map((node) => ({ node, role: 'master', slots: 16_384, usedMemoryBytes: 1 })),
      };
    },
  }).registry;
}

function scanned(sub: string, parts: Partial<ScannedSubject> = {}): ScannedSubject {
  const entries = [{ ...entry('a'), meta: null }];
  const whole = { isLast: true, malformed: 0, bytes: null, details: null };
  return { sub, node: 'a:1', entries, ...whole, ...parts };
}

function many(count: number): ScannedSubject['entries'] {
  return Array.from({ length: count }, (_, index) => ({ ...entry(`j${index}`), meta: null }));
}

describe('an inspection of the whole registry', () => {
  test('counts entries and subjects, in total and by key', async () => {
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

  test('of an empty registry is complete and all zeros', async () => {
    const report = await inspectRegistry(registry, KEYS, input());
    expect(report).toMatchObject({ complete: true, entries: 0, subjects: 0, bytes: 0, byKid: [] });
    expect(report.ttl.map(({ entries }) => entries)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test('counts each lifetime in its histogram bucket, bounds included', async () => {
    // An entry outlives its token by the clock tolerance.
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

  test('counts each expiry of the next 24 hours by the hour', async () => {
    const left = [-4, 0, 3_600, 3_601, 7_200, 82_801, 86_400, 86_401, 604_801];
    await register('alice', ...left.map((seconds) => entry(`j${seconds}`, { exp: now + seconds })));

    const { expiry } = await inspectRegistry(registry, KEYS, input());
    expect(expiry).toHaveLength(25);
    expect(expiry.map(({ leSeconds }) => leSeconds)).toEqual([
      ...Array.from({ length: 24 }, (_, hour) => (hour + 1) * 3_600),
      null,
    ]);
    expect(expiry.filter(({ entries }) => entries > 0)).toEqual([
      { leSeconds: 3_600, entries: 3 },
      { leSeconds: 7_200, entries: 2 },
      { leSeconds: 86_400, entries: 2 },
      { leSeconds: null, entries: 2 },
    ]);
  });

  test('lists the largest subjects, equal ones by name', async () => {
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

  test('counts a subject once if it comes in parts', async () => {
    await register('alice', entry('a'));
    for (let from = 0; from < 1_050; from += 350) {
      const some = Array.from({ length: 350 }, (_, index) => entry(`j${from + index}`));
      await Promise.all(some.map((one) => registerOne(registry, 'bob', one, { now })));
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

  test('of one key counts only its entries and their subjects', async () => {
    const details = { expiresAt: null, expired: 0, user: null };
    const under = { ...entry('b', { keyId: retiring.id }), meta: null };
    const shown = [
      scanned('alice', { entries: [...many(2), under], malformed: 2, details }),
      scanned('bob', { entries: many(3), malformed: 4, details }),
      scanned('carol', { entries: [], malformed: 8, details }),
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

  test('counts entries of a server that stopped being a master', async () => {
    const shown = [scanned('alice'), scanned('bob', { node: 'b:2' })];
    const { entries, byNode } = await inspectRegistry(showing([shown]), KEYS, input());
    expect(entries).toBe(2);
    expect(byNode).toEqual([
      { node: 'a:1', role: 'master', slots: 16_384, entries: 1, usedMemoryBytes: 1 },
      { node: 'b:2', role: 'gone', slots: null, entries: 1, usedMemoryBytes: null },
    ]);
  });

  test('is marked incomplete after an interruption', async () => {
    await register('alice', entry('a'));
    const report = await inspectRegistry(registry, KEYS, input({ signal: AbortSignal.abort() }));
    expect(report).toMatchObject({ complete: false, entries: 0 });
    expect(report.missed).toHaveLength(1);
  });

  test('reports progress with the number of entries so far', async () => {
    await register('alice', entry('a'), entry('b'));
    const told: unknown[] = [];
    await inspectRegistry(registry, KEYS, input({ onProgress: (progress) => told.push(progress) }));
    expect(told).toEqual([{ unit: 'subjects', done: 1, total: null, entries: 2 }]);
  });

  test('counts entries issued before this inspection, and before an earlier one', async () => {
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

  test('is estimated from sampled subjects of a similar size', async () => {
    expect(
      await bytesOf(
        scanned('small', { entries: many(1), bytes: 200 }),
        scanned('small-too', { entries: many(1) }),
        scanned('large', { entries: many(300), bytes: 15_000 }),
        scanned('larger', { entries: many(500) }),
      ),
    ).toBe(200 + 200 + 15_000 + 25_000);
  });

  test('is estimated from the average if no similar subject was sampled', async () => {
    expect(
      await bytesOf(scanned('a', { entries: many(2), bytes: 100 }), scanned('b', { entries: many(100) })),
    ).toBe(100 + 5_000);
  });

  test('is unknown if no subject was sampled', async () => {
    expect(await bytesOf(scanned('a'))).toBeNull();
  });
});

describe('a deep inspection', () => {
  const deep = (shown: ScannedSubject[]) =>
    inspectRegistry(showing([shown]), KEYS, { ...input(), deep: { users: service.database.users } });
  const details = (expiresAt: number | null) => ({ expiresAt, expired: 0, user: null });
  const end = () => now + 3600 + CLOCK_TOLERANCE_SECONDS;

  test('counts subjects that never expire, or not with their last entry', async () => {
    const later = { ...entry('b', { exp: now + 9_000 }), meta: null };
    const { anomalies } = await deep([
      scanned('in-time', { details: details(end()) }),
      scanned('two', {
        entries: [later, ...many(1)],
        details: details(now + 9_000 + CLOCK_TOLERANCE_SECONDS),
      }),
      scanned('too-early', { details: details(end() - 1) }),
      scanned('too-late', { details: details(end() + 1) }),
      scanned('never', { details: details(null) }),
      scanned('no-live-entries', { entries: [], details: details(now + 1) }),
      scanned('no-live-entries-no-expiry', { entries: [], details: details(null) }),
      scanned('expires-now', { entries: [], details: details(now) }),
    ]);
    expect(anomalies).toMatchObject({ noTtl: 2, ttlMismatch: 3 });
  });

  test('finds the last entry of a subject in parts', async () => {
    const last = { ...entry('b', { exp: now + 9_000 }), meta: null };
    const { anomalies, subjects } = await deep([
      scanned('alice', { isLast: false, details: details(now + 9_000 + CLOCK_TOLERANCE_SECONDS) }),
      scanned('bob', { details: details(end()) }),
      scanned('alice', { isLast: false, entries: [last] }),
      scanned('alice'),
    ]);
    expect(subjects).toBe(2);
    expect(anomalies).toMatchObject({ noTtl: 0, ttlMismatch: 0 });
  });

  test('ignores entries issued while a subject’s parts are read', async () => {
    const { anomalies } = await deep([
      scanned('alice', { isLast: false, details: details(end()) }),
      scanned('alice', {
        entries: [{ ...entry('new', { iat: now, exp: now + 9_000 }), meta: null }],
      }),
    ]);
    expect(anomalies.ttlMismatch).toBe(0);
  });

  test('counts subjects with entries and without a user; a disabled user counts as one', async () => {
    const { users } = service.database;
    for (const sub of ['known', 'disabled']) await users.add({ sub, name: null, at: now });
    await users.setStatus('disabled', 'disabled', now);
    for (const sub of ['known', 'disabled', 'unknown', 'Known']) await register(sub, entry('a'));
    await register('expired-unknown', entry('a', { exp: now - 5 }));

    const report = await inspectRegistry(registry, KEYS, { ...input(), deep: { users } });
    expect(report.anomalies).toMatchObject({ unknownUser: 2, noTtl: 0, ttlMismatch: 0 });
  });

  test('looks up each user once, in large but bounded batches', async () => {
    const asked: number[] = [];
    const users = {
      findMany: async (subs: readonly string[]) => {
        asked.push(subs.length);
        return new Map<string, User>();
      },
    };
    const portions = Array.from({ length: 30 }, (_, portion) =>
      Array.from({ length: 100 }, (_, index) => scanned(`user-${portion}-${index}`)),
    );
    const report = await inspectRegistry(showing(portions), KEYS, { ...input(), deep: { users } });
    expect(report.anomalies.unknownUser).toBe(3_000);
    expect(asked.reduce((sum, count) => sum + count)).toBe(3_000);
    expect(asked.length).toBeLessThanOrEqual(10);
    expect(Math.max(...asked)).toBeLessThanOrEqual(1_000);
  });
});

test('a deep inspection fails if the user directory fails', async () => {
  const users = { findMany: () => Promise.reject(new Error('The database is down.')) };
  const portions = Array.from({ length: 12 }, (_, portion) =>
    Array.from({ length: 100 }, (_, index) => scanned(`user-${portion}-${index}`)),
  );
  for (const shown of [portions, portions.slice(0, 1)]) {
    const inspected = inspectRegistry(showing(shown), KEYS, { ...input(), deep: { users } });
    await expect(inspected).rejects.toThrow('The database is down.');
  }
});

describe('an inspection of one subject', () => {
  const inspect = (sub: string, parts: Partial<InspectionInput> = {}) =>
    inspectSubject({ registry, users: service.database.users }, KEYS, { ...input(parts), sub });

  test('reports node, memory, expiry, and user', async () => {
    await service.database.users.add({ sub: 'alice', name: null, at: now });
    const user = { status: 'enabled', version: 1, until: now + 60 } as const;
    await registerOne(registry, 'alice', entry('a', { keyId: retiring.id }), { now, user });
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

  test('is all zeros for a subject without data', async () => {
    expect(await inspect('unknown')).toMatchObject({
      ...{ entries: 0, subjects: 0, bytes: 0 },
      anomalies: { noTtl: 0, ttlMismatch: 0, unknownUser: 0 },
      subject: { node: 'jwtctl.db', expiresAt: null, expired: 0, userStatus: 'unknown', cachedUser: null },
    });
  });

  test('reports a subject with entries and without a user as an anomaly', async () => {
    await register('unknown', entry('a'));
    const report = await inspect('unknown');
    expect(report.anomalies.unknownUser).toBe(1);
    expect(report.subject.userStatus).toBe('unknown');
  });
});
