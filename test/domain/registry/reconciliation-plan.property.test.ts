import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isTrusted, KEY_STATES, type SigningKey } from '../../../src/domain/model/signing-key.js';
import type {
  EntryName,
  RegistryEntry,
  ScannedSubject,
  SecurityEvent,
  User,
} from '../../../src/domain/ports/index.js';
import {
  type DurableKnowledge,
  planReconciliation,
  type Reconciliation,
  type ReconciliationRules,
} from '../../../src/domain/registry/reconciliation-plan.js';
import { RevocationIndex } from '../../../src/domain/security-log/revocation-index.js';
import { signingKey } from '../../support/signing-keys.js';

const NOW = 1_000_000;
const TOLERANCE = 5;
const RULES = { now: NOW, clockToleranceSeconds: TOLERANCE, statusTtlSeconds: 60 };

// Few names and moments, so that events, keys, entries and users meet.
const jtis = fc.constantFrom('a', 'b', 'c', '!s', '1.2.3');
const moments = fc.integer({ min: NOW - 4, max: NOW + 1 });
const keyIds = fc.integer({ min: 1, max: 5 });
const kids = keyIds.map((id) => `k${id}`);
const subs = fc.constantFrom('alice', 'Alice', 'bob');
const versions = fc.integer({ min: 0, max: 3 });
const statuses = fc.constantFrom('enabled' as const, 'disabled' as const);

const keys = fc
  .uniqueArray(fc.record({ id: keyIds, state: fc.constantFrom(...KEY_STATES) }), { selector: ({ id }) => id })
  .map((found) => found.map(({ id, state }) => signingKey({ id, kid: `k${id}`, state })));
const entries = fc.uniqueArray(
  fc.record({ jti: jtis, keyId: keyIds, iat: moments, exp: fc.integer({ min: NOW, max: NOW + 3 }) }),
  { selector: ({ jti, keyId, iat }) => `${keyId} ${iat} ${jti}`, maxLength: 12 },
);
const events = fc.array(
  fc.oneof(
    fc.record({ type: fc.constant('token_revoked' as const), sub: subs, jti: jtis }),
    fc.record({ type: fc.constant('subject_revoked' as const), sub: subs, issuedBefore: moments }),
    fc.record({ type: fc.constant('kid_revoked' as const), kid: kids, issuedBefore: moments }),
    fc.record({ type: fc.constant('all_revoked' as const), issuedBefore: moments }),
    fc.record({ type: fc.constant('key_compromised' as const), kid: kids }),
    fc.record({
      type: fc.constantFrom('user_disabled' as const, 'user_enabled' as const, 'user_removed' as const),
      sub: subs,
      userVersion: versions,
    }),
  ),
  { maxLength: 4 },
);
const registries = fc.record({
  entries,
  keys,
  events: events.map((found) => found.map(toEvent)),
  user: fc.option(fc.record({ status: statuses, version: versions }).map(toUser)),
  cached: fc.option(
    fc.record({ status: statuses, version: versions, until: fc.constantFrom(NOW - 9, NOW + 60) }),
  ),
  expiresAt: fc.option(fc.integer({ min: NOW, max: NOW + 9 })),
  expired: fc.integer({ min: 0, max: 2 }),
  malformed: fc.integer({ min: 0, max: 2 }),
  ownsUsers: fc.boolean(),
  /** Where the subject is split into parts. */
  cuts: fc.array(fc.nat(12), { maxLength: 3 }),
});
type Registry = typeof registries extends fc.Arbitrary<infer T> ? T : never;

function toEvent(parts: Partial<SecurityEvent> & Pick<SecurityEvent, 'type'>, id: number): SecurityEvent {
  const none = { sub: null, jti: null, kid: null, issuedBefore: null, userVersion: null, reason: null };
  return { ...none, id, at: NOW, expiresAt: NOW + 9_999, ...parts };
}

function toUser(user: Pick<User, 'status' | 'version'>): User {
  return { sub: 'alice', name: null, createdAt: null, updatedAt: null, ...user };
}

/** Plans the whole subject, part by part. */
function plan(registry: Registry) {
  const rules: ReconciliationRules = { ...RULES, ownsUsers: registry.ownsUsers };
  const known: DurableKnowledge = {
    // The security log returns the subject's own events and the global ones.
    events: new RevocationIndex(registry.events.filter(({ sub }) => sub === null || sub === 'alice')),
    user: registry.user,
    keys: new Map(registry.keys.map((key) => [key.id, key])),
  };
  const drops: Reconciliation['drops'] = [];
  let last: Reconciliation | undefined;
  for (const part of partsOf(registry)) {
    last = planReconciliation(part, known, rules, last?.seen);
    drops.push(...last.drops);
  }
  const { userToCache = null, hasWrongExpiry = false, leftovers = 0 } = last ?? {};
  return { drops, userToCache, hasWrongExpiry, leftovers };
}

function partsOf({ entries: all, cuts, ...rest }: Registry): ScannedSubject[] {
  const bounds = [
    0,
    ...[...new Set(cuts)].filter((cut) => cut > 0 && cut < all.length).sort((a, b) => a - b),
  ];
  return bounds.map((from, index): ScannedSubject => {
    const isFirst = index === 0;
    return {
      ...{ sub: 'alice', node: 'n', bytes: null, isLast: index === bounds.length - 1 },
      entries: all.slice(from, bounds[index + 1]).map((entry) => ({ ...entry, meta: null })),
      malformed: isFirst ? rest.malformed : 0,
      details: isFirst ? { expiresAt: rest.expiresAt, expired: rest.expired, user: rest.cached } : null,
    };
  });
}

/** Returns the registry after the plan, according to the contracts of removeEntries and setUserStatus. */
function carryOut(registry: Registry): Registry {
  const { drops, userToCache, hasWrongExpiry, leftovers } = plan(registry);
  const kept = registry.entries.filter((entry) => !drops.some((drop) => isSame(drop.entry, entry)));
  const isSwept = drops.length > 0 || hasWrongExpiry || leftovers > 0;
  const swept = isSwept ? { expired: 0, expiresAt: expiryOf(kept) } : {};
  const status = userToCache === null ? registry.cached : { ...userToCache, until: RULES.now + 60 };
  const cached = kept.length === 0 && isSwept ? null : status;
  return { ...registry, ...swept, cached, entries: kept };
}

function isSame(a: EntryName, b: EntryName): boolean {
  return a.jti === b.jti && a.keyId === b.keyId && a.iat === b.iat;
}

function expiryOf(kept: readonly RegistryEntry[]): number | null {
  return kept.length === 0 ? null : Math.max(...kept.map(({ exp }) => exp)) + TOLERANCE;
}

/** Repeats the checks of a verifier that reads every store, independently of the plan. */
function isAccepted(entry: RegistryEntry, { keys: known, events: log, user }: Registry): boolean {
  const key = known.find(({ id }) => id === entry.keyId);
  if (key === undefined || !isTrusted(key.state)) return false;
  return !isCovered(entry, key, log) && user?.status === 'enabled';
}

function isCovered(entry: RegistryEntry, { kid }: SigningKey, log: readonly SecurityEvent[]): boolean {
  return log.some((event) => new RevocationIndex([event]).covers({ sub: 'alice', kid, ...entry }));
}

function always(holds: (registry: Registry) => void): void {
  fc.assert(fc.property(registries, holds), { numRuns: 2_000 });
}

test('never drops an entry that a verifier would accept', () => {
  always((registry) => {
    const { drops } = plan(registry);
    for (const entry of registry.entries.filter((entry) => isAccepted(entry, registry))) {
      expect(drops.some((drop) => isSame(drop.entry, entry))).toBe(false);
    }
  });
});

test('never drops an entry that would be accepted once its user is enabled', () => {
  always((registry) => {
    if (registry.user?.status !== 'disabled') return;
    const enabled = { ...registry, user: { ...registry.user, status: 'enabled' as const } };
    for (const { entry } of plan(registry).drops) {
      const whole = registry.entries.find((other) => isSame(other, entry)) as RegistryEntry;
      expect(isAccepted(whole, enabled)).toBe(false);
    }
  });
});

test('drops every entry that is revoked or has no trusted key', () => {
  always((registry) => {
    const { drops } = plan(registry);
    for (const entry of registry.entries) {
      if (drops.some((drop) => isSame(drop.entry, entry))) continue;
      const key = registry.keys.find(({ id }) => id === entry.keyId) as SigningKey;
      expect(isTrusted(key.state)).toBe(true);
      expect(isCovered(entry, key, registry.events)).toBe(false);
      if (registry.ownsUsers) expect(registry.user).not.toBeNull();
    }
  });
});

test('drops only existing entries, each once', () => {
  always((registry) => {
    const { drops } = plan(registry);
    for (const { entry } of drops) {
      expect(registry.entries.filter((other) => isSame(other, entry))).toHaveLength(1);
      expect(drops.filter((other) => isSame(other.entry, entry))).toHaveLength(1);
    }
  });
});

test('leaves a status that matches the directory, and an expiry that matches the last entry', () => {
  always((registry) => {
    const { entries: kept, cached, expiresAt, expired, user } = carryOut(registry);
    if (kept.length === 0) return;
    expect(expired).toBe(0);
    expect(expiresAt).toBe(expiryOf(kept));
    if (cached === null || user === null || user.version === 0) return;
    expect([cached.version, cached.status]).toEqual([user.version, user.status]);
  });
});

test('plans nothing after it was carried out', () => {
  always((registry) => {
    const after = carryOut(registry);
    // A scan does not return an empty subject.
    if (after.entries.length === 0 && after.cached === null) return;
    expect(plan(after)).toEqual({ drops: [], userToCache: null, hasWrongExpiry: false, leftovers: 0 });
  });
});

test('plans the same however a subject is split into parts', () => {
  always((registry) => {
    expect(plan(registry)).toEqual(plan({ ...registry, cuts: [] }));
  });
});
