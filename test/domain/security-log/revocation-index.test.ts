import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SecurityEvent, SecurityEventType } from '../../../src/domain/ports/index.js';
import { isInterpretable, RevocationIndex } from '../../../src/domain/security-log/revocation-index.js';

const SUBS = ['alice', 'bob', 'Alice'];
const FAMILY = 'f'.repeat(22);
const JTIS = ['a', 'b', ' a', `${FAMILY}.0`, `${FAMILY}.12`];
const KIDS = ['k1', 'k2'];
const TYPES: SecurityEventType[] = [
  ...(['token_revoked', 'family_revoked', 'subject_revoked', 'kid_revoked', 'all_revoked'] as const),
  ...(['key_compromised', 'user_disabled', 'user_enabled', 'user_removed'] as const),
];

/** Members that a type does not use are null, as in the log. */
const event = fc
  .record({
    type: fc.constantFrom(...TYPES),
    sub: fc.constantFrom(...SUBS),
    jti: fc.constantFrom(...JTIS),
    kid: fc.constantFrom(...KIDS),
    issuedBefore: fc.integer({ min: 0, max: 9 }),
    except: fc.constantFrom(null, null, 'a', 'b', FAMILY),
    userVersion: fc.integer({ min: 1, max: 5 }),
  })
  .map(({ type, sub, jti, kid, issuedBefore, except, userVersion }): SecurityEvent => {
    const isOfUser = type.startsWith('user_');
    const isOfToken = type === 'token_revoked' || type === 'family_revoked';
    const isOfSubject = isOfUser || isOfToken || type === 'subject_revoked';
    return {
      type,
      sub: isOfSubject ? sub : null,
      jti: isOfToken ? (type === 'token_revoked' ? jti : FAMILY) : null,
      kid: type === 'kid_revoked' || type === 'key_compromised' ? kid : null,
      issuedBefore: /_revoked$/.test(type) && !isOfToken ? issuedBefore : null,
      userVersion: isOfUser ? userVersion : null,
      except: type === 'subject_revoked' ? except : null,
      ...{ id: 1, reason: null, at: 0, expiresAt: 99 },
    };
  });

const token = fc.record({
  sub: fc.constantFrom(...SUBS),
  jti: fc.constantFrom(...JTIS),
  kid: fc.constantFrom(...KIDS),
  iat: fc.integer({ min: 0, max: 10 }),
});

test('covers a token if and only if one of its events does, in any order', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 6 }), token, (events, one) => {
      const memory = new RevocationIndex();
      for (const each of [...events, ...events]) memory.add(each);
      expect(memory.covers(one)).toBe(events.some((each) => new RevocationIndex([each]).covers(one)));
    }),
    { numRuns: 2000 },
  );
});

test("keeps the user's change with the highest version, in any order", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), (events) => {
      const memory = new RevocationIndex();
      for (const each of events) memory.add(each);
      for (const sub of SUBS) {
        const versions = events
          .filter(({ userVersion, sub: of }) => userVersion !== null && of === sub)
          .map(({ userVersion }) => userVersion ?? 0);
        expect(memory.changeOf(sub)?.version).toBe(versions.length === 0 ? undefined : Math.max(...versions));
      }
    }),
  );
});

test('a renewed index equals a new one, and the old one stays usable', async () => {
  const some = fc.array(event, { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(some, some, some, token, async (gone, kept, late, one) => {
      const before = new RevocationIndex([...gone, ...kept]);
      const fresh = before.renewed();
      for (const each of kept) fresh.add(each);
      expect(before.covers(one)).toBe(new RevocationIndex([...gone, ...kept]).covers(one));
      for (const each of late) before.add(each);
      for (const each of late) fresh.add(each);
      await fresh.forgetOthers();
      const anew = new RevocationIndex([...kept, ...late]);
      expect(fresh.covers(one)).toBe(anew.covers(one));
      expect(fresh.changeOf(one.sub)).toEqual(anew.changeOf(one.sub));
    }),
    { numRuns: 2000 },
  );
});

test('forgets a million tokens without blocking, and keeps tokens added meanwhile', async () => {
  const revoked = (jti: string): SecurityEvent => ({
    ...{ id: 1, type: 'token_revoked', sub: 'alice', jti, kid: null, issuedBefore: null },
    ...{ userVersion: null, reason: null, at: 0, expiresAt: 99 },
  });
  const covers = (memory: RevocationIndex, jti: string) =>
    memory.covers({ sub: 'alice', jti, kid: 'k1', iat: 1 });
  const before = new RevocationIndex();
  for (let index = 0; index < 100_000; index++) before.add(revoked(`j${index}`));
  const fresh = before.renewed();
  fresh.add(revoked('j99999'));
  let isOver = false;
  const forgotten = fresh.forgetOthers().then(() => {
    isOver = true;
  });
  let turns = 0;
  for (; !isOver; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (turns === 0) fresh.add(revoked('j50000'));
  }
  await forgotten;
  expect(turns).toBeGreaterThan(5);
  expect(['j0', 'j50000', 'j99998', 'j99999'].map((jti) => covers(fresh, jti))).toEqual([
    ...[false, true, false, true],
  ]);
});

test('changes its revision only with a new event', () => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 6 }), (events) => {
      const memory = new RevocationIndex();
      for (const each of events) memory.add(each);
      expect(memory.revision).toBeGreaterThan(0);
      const { revision } = memory;
      for (const each of events) memory.add(each);
      expect(memory.revision).toBe(revision);
    }),
  );
});

describe('an event that cannot be interpreted', () => {
  const TOKEN = { sub: 'alice', jti: 'a', kid: 'k1', iat: 10 };
  const OTHERS = [
    { ...TOKEN, sub: 'bob' },
    { ...TOKEN, jti: 'b' },
    { ...TOKEN, kid: 'k2' },
  ];
  const EMPTY = { sub: null, jti: null, kid: null, issuedBefore: null, userVersion: null };

  /** Returns whether the event covers the token, another subject, another jti, and another kid. */
  function coverage(parts: Record<string, unknown>): boolean[] {
    const broken = { ...EMPTY, id: 1, reason: null, at: 0, expiresAt: 99, ...parts } as SecurityEvent;
    const index = new RevocationIndex([broken, broken]);
    expect(isInterpretable(broken)).toBe(false);
    return [TOKEN, ...OTHERS].map((token) => index.covers(token));
  }

  test.each([
    { type: 'Token_Revoked', sub: 'alice', jti: 'a' },
    { type: 'token_revoked ', sub: 'alice', jti: 'a', kid: 'k2' },
    { type: 'session_ended', sub: 'alice', jti: 'a' },
    { type: 'toString', sub: 'alice', jti: 'a' },
  ])('covers the token that it names: $type', (parts) => {
    expect(coverage(parts)).toEqual([true, false, false, true]);
  });

  test.each([
    { type: 'token_revoked', jti: 'a' },
    { type: 'token_revoked', jti: 'a', sub: '' },
    { type: 'session_ended', jti: 'a' },
  ])('covers every token with its jti if it names no subject: $type', (parts) => {
    expect(coverage(parts)).toEqual([true, true, false, true]);
  });

  test.each([
    { type: 'token_revoked', sub: 'alice' },
    { type: 'subject_revoked', sub: 'alice' },
    { type: 'subject_revoked', sub: 'alice', issuedBefore: -5 },
    { type: 'subject_revoked', sub: 'alice', issuedBefore: 'soon' },
    { type: 'SUBJECT_REVOKED', sub: 'alice', issuedBefore: 5 },
    { type: 'user_disabled', sub: 'alice' },
    { type: 'user_enabled ', sub: 'alice', userVersion: 2 },
    { type: 'user_suspended', sub: 'alice', userVersion: 2 },
  ])('covers all tokens of the subject that it names: $type', (parts) => {
    expect(coverage(parts)).toEqual([true, false, true, true]);
  });

  test.each([
    { type: 'kid_revoked', kid: 'k1' },
    { type: 'key_compromised ', kid: 'k1' },
    { type: 'key_lost', kid: 'k1', issuedBefore: 5 },
  ])('covers all tokens under the kid that it names: $type', (parts) => {
    expect(coverage(parts)).toEqual([true, true, true, false]);
  });

  test.each([{ type: 'all_revoked' }, { type: 'ALL_REVOKED', issuedBefore: 50 }, { type: '' }])(
    'covers nothing if it names nothing: $type',
    (parts) => {
      expect(coverage(parts)).toEqual([false, false, false, false]);
    },
  );

  test('lets no token be issued for the subject that it names', () => {
    const broken = { ...EMPTY, id: 1, type: 'x', sub: 'alice', reason: null, at: 0, expiresAt: 99 };
    const index = new RevocationIndex([broken as unknown as SecurityEvent]);
    expect(index.coveredUntil(TOKEN)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a family of tokens', () => {
  const START = 100;
  const session = { sub: 'alice', jti: `${FAMILY}.3`, kid: 'k2', iat: 200, startedAt: START };
  const happened = (parts: Partial<SecurityEvent>): SecurityEvent => ({
    ...{ id: 1, type: 'all_revoked', sub: null, jti: null, kid: null, issuedBefore: null },
    ...{ userVersion: null, reason: null, at: 0, expiresAt: 999, ...parts },
  });

  test('is covered as a whole by an event that names it', () => {
    const index = new RevocationIndex([happened({ type: 'family_revoked', sub: 'alice', jti: FAMILY })]);
    const covers = (sub: string, jti: string) => index.covers({ sub, jti, kid: 'k1', iat: 1 });
    expect([`${FAMILY}.0`, `${FAMILY}.1`, `${FAMILY}.4294967295`].map((jti) => covers('alice', jti))).toEqual(
      [true, true, true],
    );
    const others = [
      FAMILY,
      `${FAMILY}.`,
      `${FAMILY}.01`,
      `${FAMILY}.1.2`,
      `${FAMILY}x.1`,
      `g${FAMILY.slice(1)}.1`,
    ];
    expect(others.map((jti) => covers('alice', jti))).toEqual(others.map(() => false));
    expect(covers('bob', `${FAMILY}.0`)).toBe(false);
  });

  test('is not covered by an event that names one of its tokens', () => {
    const index = new RevocationIndex([
      happened({ type: 'token_revoked', sub: 'alice', jti: `${FAMILY}.1` }),
    ]);
    expect(index.covers({ sub: 'alice', jti: `${FAMILY}.1`, kid: 'k1', iat: 1 })).toBe(true);
    expect(index.covers({ sub: 'alice', jti: `${FAMILY}.2`, kid: 'k1', iat: 1 })).toBe(false);
    expect(index.endsSession(session)).toBe(false);
  });

  test.each<{ what: string; events: Array<Partial<SecurityEvent>>; ends: boolean }>([
    { what: 'nothing', events: [], ends: false },
    { what: 'its own end', events: [{ type: 'family_revoked', sub: 'alice', jti: FAMILY }], ends: true },
    {
      what: 'a revocation of the subject at its start',
      events: [{ type: 'subject_revoked', sub: 'alice', issuedBefore: START }],
      ends: true,
    },
    {
      what: 'a revocation of the subject before its start',
      events: [{ type: 'subject_revoked', sub: 'alice', issuedBefore: START - 1 }],
      ends: false,
    },
    {
      what: 'a revocation of all tokens',
      events: [{ type: 'all_revoked', issuedBefore: START }],
      ends: true,
    },
    { what: 'the compromise of its last key', events: [{ type: 'key_compromised', kid: 'k2' }], ends: true },
    {
      what: 'the compromise of an earlier key',
      events: [{ type: 'key_compromised', kid: 'k1' }],
      ends: false,
    },
    {
      what: 'a revocation of its last key',
      events: [{ type: 'kid_revoked', kid: 'k2', issuedBefore: 200 }],
      ends: true,
    },
    {
      what: 'a revocation of its last key before it used that key',
      events: [{ type: 'kid_revoked', kid: 'k2', issuedBefore: 199 }],
      ends: false,
    },
    {
      what: 'events of another subject',
      events: [{ type: 'subject_revoked', sub: 'bob', issuedBefore: START }],
      ends: false,
    },
  ])('$what: ended is $ends', ({ events, ends }) => {
    expect(new RevocationIndex(events.map(happened)).endsSession(session)).toBe(ends);
  });
});

test('an event for all tokens without a usable time covers the tokens issued up to it', () => {
  const damaged = { ...{ id: 1, type: 'all_revoked', sub: null, jti: null, kid: null }, userVersion: null };
  const index = new RevocationIndex([
    { ...damaged, issuedBefore: null, reason: null, at: 100, expiresAt: 999 } as SecurityEvent,
  ]);
  const token = { sub: 'alice', jti: 'a', kid: 'k1' };
  expect([100, 101].map((iat) => index.covers({ ...token, iat }))).toEqual([true, false]);
});
