import { describe, expect, test } from 'vitest';
import { KEY_STATES } from '../../../src/domain/model/signing-key.js';
import type {
  KnownUserStatus,
  ScannedSubject,
  SecurityEvent,
  User,
} from '../../../src/domain/ports/index.js';
import {
  type DurableKnowledge,
  planReconciliation,
  type ReconciliationRules,
} from '../../../src/domain/registry/reconciliation-plan.js';
import { RevocationIndex } from '../../../src/domain/security-log/revocation-index.js';
import { signingKey } from '../../support/signing-keys.js';

const NOW = 1_700_000_000;
const ENTRY = { jti: 'j1', keyId: 1, iat: NOW, exp: NOW + 600, meta: null };
const RULES = { now: NOW, clockToleranceSeconds: 5, statusTtlSeconds: 60, ownsUsers: true };

function subject({
  details,
  ...parts
}: Partial<Omit<ScannedSubject, 'details'>> & { details?: Partial<ScannedSubject['details']> } = {}) {
  return {
    ...{ sub: 'alice', node: 'n', bytes: null, isLast: true, malformed: 0, entries: [ENTRY] },
    ...parts,
    details: { expiresAt: NOW + 605, expired: 0, user: null, ...details },
  };
}

function user(status: User['status'], version: number): User {
  return { sub: 'alice', name: null, status, version, createdAt: null, updatedAt: null };
}

function event(parts: Partial<SecurityEvent> & Pick<SecurityEvent, 'type'>): SecurityEvent {
  const none = { sub: null, jti: null, kid: null, issuedBefore: null, userVersion: null, reason: null };
  return { ...none, id: 1, at: NOW, expiresAt: NOW + 9_999, ...parts };
}

function plan(
  part = subject(),
  {
    events = [],
    keys = [signingKey({ id: 1, kid: 'k1', state: 'active' })],
    ...known
  }: Partial<Omit<DurableKnowledge, 'events' | 'keys'>> & {
    events?: SecurityEvent[];
    keys?: Array<ReturnType<typeof signingKey>>;
  } = {},
  rules: Partial<ReconciliationRules> = {},
) {
  const { drops, userToCache, hasWrongExpiry, leftovers } = planReconciliation(
    part,
    {
      user: user('enabled', 1),
      ...known,
      events: new RevocationIndex(events),
      keys: new Map(keys.map((key) => [key.id, key])),
    },
    { ...RULES, ...rules },
  );
  return { reasons: drops.map(({ reason }) => reason), userToCache, hasWrongExpiry, leftovers };
}

const IN_ORDER = { reasons: [], userToCache: null, hasWrongExpiry: false, leftovers: 0 };
const REVOKED = event({ type: 'token_revoked', sub: 'alice', jti: 'j1' });

test('plans nothing for a correct subject', () => {
  expect(plan()).toEqual(IN_ORDER);
});

describe('dropping an entry', () => {
  test.each(KEY_STATES)('a %s key: only retired and compromised keys lose their entries', (state) => {
    const keys = [signingKey({ id: 1, kid: 'k1', state })];
    const isLost = state === 'retired' || state === 'compromised';
    expect(plan(subject(), { keys }).reasons).toEqual(isLost ? ['keyNotTrusted'] : []);
  });

  test('gives the first reason for which a verifier refuses the token', () => {
    const events = [REVOKED];
    const keys = [signingKey({ id: 2, kid: 'k2', state: 'active' })];
    expect(plan(subject(), { events, keys, user: null }).reasons).toEqual(['keyNotTrusted']);
    expect(plan(subject(), { events, user: null }).reasons).toEqual(['revoked']);
    expect(plan(subject(), { user: null }).reasons).toEqual(['userUnknown']);
  });

  test('matches events by the kid of the key, not by its id', () => {
    const other = event({ type: 'kid_revoked', kid: '1', issuedBefore: NOW });
    expect(plan(subject(), { events: [other] }).reasons).toEqual([]);
    expect(plan(subject(), { events: [{ ...other, kid: 'k1' }] }).reasons).toEqual(['revoked']);
  });

  test('keeps entries of a disabled user, who may be enabled again', () => {
    expect(plan(subject(), { user: user('disabled', 2) })).toEqual(IN_ORDER);
  });

  test('keeps entries of a user missing from an application’s table', () => {
    expect(plan(subject(), { user: null }, { ownsUsers: false })).toEqual(IN_ORDER);
  });
});

describe('the cached status', () => {
  const cached = (status: User['status'], version: number, until = NOW + 9): KnownUserStatus => ({
    ...{ status, version, until },
  });

  test.each([
    { is: cached('enabled', 1), directory: user('disabled', 2), isRight: false },
    { is: cached('disabled', 2), directory: user('enabled', 3), isRight: false },
    { is: cached('enabled', 1), directory: user('enabled', 3), isRight: false },
    { is: cached('enabled', 1, 5), directory: user('disabled', 2), isRight: false },
    { is: cached('disabled', 3), directory: user('enabled', 2), isRight: false },
    { is: cached('enabled', 3), directory: user('enabled', 2), isRight: false },
    // A source without versions.
    { is: cached('enabled', 0), directory: user('disabled', 0), isRight: true },
    { is: cached('enabled', 2), directory: user('enabled', 2), isRight: true },
    { is: cached('enabled', 2, 5), directory: user('enabled', 2), isRight: true },
    { is: null, directory: user('disabled', 2), isRight: true },
  ])('$is.status $is.version, with $directory.status $directory.version in the directory', (row) => {
    const { userToCache } = plan(subject({ details: { user: row.is } }), { user: row.directory });
    expect(userToCache).toEqual(row.isRight ? null : row.directory);
  });

  test('is not replaced if no entry stays', () => {
    const part = subject({ details: { user: cached('enabled', 1) } });
    const known = { events: [REVOKED], user: user('disabled', 2) };
    expect(plan(part, known)).toEqual({ ...IN_ORDER, reasons: ['revoked'] });
  });
});

test.each([
  { what: 'never', expiresAt: null, isWrong: true },
  { what: 'a second early', expiresAt: NOW + 604, isWrong: true },
  { what: 'a second late', expiresAt: NOW + 606, isWrong: true },
  { what: 'with its last entry', expiresAt: NOW + 605, isWrong: false },
])('a subject that expires $what', ({ expiresAt, isWrong }) => {
  const entries = [{ ...ENTRY, jti: 'j0', exp: NOW + 1 }, ENTRY];
  expect(plan(subject({ entries, details: { expiresAt } })).hasWrongExpiry).toBe(isWrong);
  expect(plan(subject({ details: { expiresAt } }), { events: [REVOKED] }).hasWrongExpiry).toBe(false);
});

test.each([
  { what: 'expired and live entries', part: { details: { expired: 3 } }, leftovers: 3 },
  { what: 'only expired entries', part: { entries: [], details: { expired: 2 } }, leftovers: 2 },
  { what: 'a set without entries', part: { entries: [] }, leftovers: 1 },
  {
    what: 'a cached status and foreign members',
    part: { entries: [], malformed: 2, details: { user: { status: 'enabled', version: 1, until: NOW } } },
    leftovers: 1,
  },
] as const)('leftovers: $what', ({ part, leftovers }) => {
  const entries = 'entries' in part ? [] : [ENTRY];
  expect(plan(subject({ ...part, entries }))).toEqual({ ...IN_ORDER, leftovers });
});
