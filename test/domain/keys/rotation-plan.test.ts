import { describe, expect, test } from 'vitest';
import type { Fleet } from '../../../src/domain/fleet/running-verifiers.js';
import { planRotation, type RotationPolicy } from '../../../src/domain/keys/rotation-plan.js';
import { announced } from '../../support/heartbeats.js';
import { signingKey } from '../../support/signing-keys.js';

const DAY = 86_400;
const NOW = 1_700_000_000;

const POLICY: RotationPolicy = {
  rotateAfterSeconds: 30 * DAY,
  publishLeadSeconds: DAY,
  maxTtlSeconds: DAY,
  clockToleranceSeconds: 5,
  isForced: false,
  keepsLead: false,
  leavesStragglers: false,
  needsFleet: false,
};
const FORCED = { ...POLICY, isForced: true };

/** When a key that steps down now has signed the last token that anyone still accepts. */
const VERIFY_UNTIL = NOW + 60 + DAY + 5;

const due = signingKey({
  kid: 'old',
  state: 'active',
  createdAt: NOW - 40 * DAY,
  activatedAt: NOW - 30 * DAY,
  maxTtlSeconds: DAY,
});
const young = { ...due, kid: 'young', activatedAt: NOW - 30 * DAY + 1 };
const published = signingKey({ kid: 'next', state: 'pending', createdAt: NOW - DAY });
const waiting = { ...published, createdAt: NOW - DAY + 1 };

const nothing = {
  transitions: [],
  activatesNewKey: false,
  previous: null,
  isNotPrePublished: false,
  awaitsLead: false,
  awaitsFleet: false,
  stragglers: [],
};
const demote = { kid: 'old', from: 'active', to: 'retiring', at: NOW, verifyUntil: VERIFY_UNTIL };
const promote = { kid: 'next', from: 'pending', to: 'active', at: NOW, maxTtlSeconds: DAY };

describe('without force', () => {
  test('a young key goes on signing', () => {
    expect(planRotation([young, published], POLICY, NOW)).toEqual({
      ...nothing,
      reason: 'not_due',
      publishesNewKey: false,
      active: 'young',
      pending: 'next',
      signsFrom: NOW + 1,
    });
  });

  test('a key that was never noted as activated is as old as its row', () => {
    const noted = { ...due, activatedAt: null };
    expect(planRotation([{ ...noted, createdAt: NOW - 30 * DAY }, published], POLICY, NOW).reason).toBe(
      'due',
    );
    expect(planRotation([{ ...noted, createdAt: NOW - 30 * DAY + 1 }, published], POLICY, NOW).reason).toBe(
      'not_due',
    );
  });

  test('of a key that is due and a published one the first steps down and the second up, in that order', () => {
    expect(planRotation([due, published], POLICY, NOW)).toEqual({
      reason: 'due',
      transitions: [demote, promote],
      activatesNewKey: false,
      publishesNewKey: true,
      active: 'next',
      previous: 'old',
      pending: null,
      signsFrom: NOW + 30 * DAY,
      isNotPrePublished: false,
      awaitsLead: false,
      awaitsFleet: false,
      stragglers: [],
    });
  });

  test('a key that is due waits for one that is not published for long enough', () => {
    expect(planRotation([due, waiting], POLICY, NOW)).toEqual({
      ...nothing,
      reason: 'waiting',
      publishesNewKey: false,
      active: 'old',
      pending: 'next',
      signsFrom: NOW + 1,
      awaitsLead: true,
    });
  });

  test.each([
    { name: 'young', active: young, signsFrom: NOW + DAY, awaitsLead: false },
    { name: 'due', active: due, signsFrom: NOW + DAY, awaitsLead: true },
    { name: 'new', active: { ...due, activatedAt: NOW }, signsFrom: NOW + 30 * DAY, awaitsLead: false },
  ])('where none is pending one is published, though the active key is $name', (wanted) => {
    const { active, signsFrom, awaitsLead } = wanted;
    expect(planRotation([active], POLICY, NOW)).toEqual({
      ...nothing,
      reason: 'published',
      publishesNewKey: true,
      active: active.kid,
      pending: null,
      signsFrom,
      awaitsLead,
    });
  });

  test('the oldest of several pending keys signs next, and another one is not made', () => {
    const older = { ...published, kid: 'older', createdAt: NOW - 9 * DAY };
    const plan = planRotation([due, published, older], POLICY, NOW);
    expect(plan).toMatchObject({ active: 'older', pending: 'next', publishesNewKey: false });
  });

  test('of pending keys of one second the one that was added first signs next', () => {
    const first = signingKey({ id: 9, kid: 'z', state: 'pending', createdAt: NOW - DAY });
    const second = signingKey({ id: 8, kid: 'a', state: 'pending', createdAt: NOW - DAY });
    expect(planRotation([due, first, second], POLICY, NOW)).toMatchObject({ active: 'z', pending: 'a' });
  });

  test('where nothing signs there is nothing to wait for', () => {
    expect(planRotation([waiting], POLICY, NOW)).toMatchObject({
      reason: 'due',
      transitions: [promote],
      activatesNewKey: false,
      publishesNewKey: true,
      active: 'next',
      previous: null,
      isNotPrePublished: true,
    });
    expect(planRotation([published], POLICY, NOW).isNotPrePublished).toBe(false);
  });

  test('where nothing signs and nothing is pending two keys are made', () => {
    const retired = signingKey({ kid: 'r', state: 'retired' });
    expect(planRotation([retired], POLICY, NOW)).toMatchObject({
      reason: 'due',
      transitions: [],
      activatesNewKey: true,
      publishesNewKey: true,
      active: null,
      previous: null,
      isNotPrePublished: true,
    });
  });
});

describe('forced', () => {
  test('a young key steps down for a published one', () => {
    const plan = planRotation([young, published], FORCED, NOW);
    expect(plan).toMatchObject({
      reason: 'forced',
      transitions: [{ ...demote, kid: 'young' }, promote],
      activatesNewKey: false,
      publishesNewKey: true,
      active: 'next',
      previous: 'young',
      isNotPrePublished: false,
    });
  });

  test('a key that is not published for long enough signs, and is said to be unannounced', () => {
    expect(planRotation([young, waiting], FORCED, NOW)).toMatchObject({
      reason: 'forced',
      active: 'next',
      isNotPrePublished: true,
    });
  });

  test('without a pending key one is made that signs at once, and one that signs next', () => {
    expect(planRotation([young], FORCED, NOW)).toMatchObject({
      reason: 'forced',
      transitions: [{ ...demote, kid: 'young' }],
      activatesNewKey: true,
      publishesNewKey: true,
      active: null,
      previous: 'young',
      pending: null,
      isNotPrePublished: true,
    });
  });
});

describe('forced, but with the lead kept', () => {
  const PATIENT = { ...FORCED, keepsLead: true };

  test('a young key steps down for one that is published for long enough', () => {
    expect(planRotation([young, published], PATIENT, NOW)).toMatchObject({
      reason: 'forced',
      active: 'next',
      awaitsLead: false,
    });
  });

  test('it waits for one that is not, and nothing else is missing', () => {
    expect(planRotation([young, waiting], PATIENT, NOW)).toMatchObject({
      reason: 'waiting',
      active: 'young',
      signsFrom: NOW + 1,
      awaitsLead: true,
      transitions: [],
    });
  });

  test('without a pending key one is published, and waited for', () => {
    expect(planRotation([young], PATIENT, NOW)).toMatchObject({
      reason: 'published',
      publishesNewKey: true,
      activatesNewKey: false,
      signsFrom: NOW + POLICY.publishLeadSeconds,
      awaitsLead: true,
    });
  });
});

describe('with verifiers that run', () => {
  const knows = announced('knows', NOW, { kids: ['old', 'next'] });
  const lacks = announced('lacks', NOW, { kids: ['old'] });
  const everybody: Fleet = { verifiers: [knows], unavailableReason: null };
  const most: Fleet = { verifiers: [knows, lacks], unavailableReason: null };

  test('a key signs that all of them have loaded', () => {
    const plan = planRotation([due, published], POLICY, NOW, everybody);
    expect(plan).toEqual(planRotation([due, published], POLICY, NOW));
    expect(plan).toMatchObject({ reason: 'due', active: 'next', stragglers: [] });
  });

  test('a key waits for the one that has not, and who that is can be told', () => {
    expect(planRotation([due, published], POLICY, NOW, most)).toEqual({
      ...nothing,
      reason: 'waiting',
      publishesNewKey: false,
      active: 'old',
      pending: 'next',
      signsFrom: NOW,
      awaitsFleet: true,
      stragglers: [lacks],
    });
  });

  test('a key waits for a faked verifier for an hour or the lead at most', () => {
    const dueAt = NOW;
    const active = { ...due, activatedAt: dueAt - POLICY.rotateAfterSeconds };
    const shortLead = { ...POLICY, publishLeadSeconds: 60 };
    const plan = (now: number, policy = shortLead) => planRotation([active, published], policy, now, most);
    expect(plan(dueAt + 3_600)).toMatchObject({ reason: 'waiting', awaitsFleet: true, stragglers: [lacks] });
    expect(plan(dueAt + 3_601)).toMatchObject({
      ...{ reason: 'due', active: 'next', awaitsFleet: false, stragglers: [lacks] },
    });
    expect(plan(dueAt + DAY, POLICY)).toMatchObject({ reason: 'waiting' });
    expect(plan(dueAt + DAY + 1, POLICY)).toMatchObject({ reason: 'due' });
    const byHand = { ...shortLead, isForced: true, keepsLead: true };
    expect(plan(dueAt + 3_601, byHand)).toMatchObject({ reason: 'waiting', awaitsFleet: true });
  });

  test('meanwhile keys that nothing needs any more are retired', () => {
    const over = signingKey({ kid: 'r', state: 'retiring', retiringAt: NOW - 9, verifyUntil: NOW });
    const plan = planRotation([due, published, over], POLICY, NOW, most);
    expect(plan.transitions).toEqual([{ kid: 'r', from: 'retiring', to: 'retired', at: NOW }]);
  });

  test('with force it goes on without them, and still keeps the lead', () => {
    const policy = { ...POLICY, leavesStragglers: true };
    expect(planRotation([due, published], policy, NOW, most)).toMatchObject({
      ...{ reason: 'due', active: 'next', awaitsFleet: false, stragglers: [lacks] },
    });
    expect(planRotation([due, waiting], policy, NOW, most)).toMatchObject({
      ...{ reason: 'waiting', awaitsLead: true, awaitsFleet: false, stragglers: [] },
    });
  });

  test('in an emergency nobody is waited for, unless the lead is kept', () => {
    expect(planRotation([young, waiting], FORCED, NOW, most)).toMatchObject({
      ...{ reason: 'forced', active: 'next', awaitsFleet: false, stragglers: [lacks] },
    });
    expect(planRotation([young], FORCED, NOW, most)).toMatchObject({
      ...{ activatesNewKey: true, stragglers: [knows, lacks] },
    });
    expect(planRotation([young, published], { ...FORCED, keepsLead: true }, NOW, most)).toMatchObject({
      ...{ reason: 'waiting', awaitsLead: false, awaitsFleet: true, stragglers: [lacks] },
    });
  });

  test('where no key signs nobody is waited for', () => {
    expect(planRotation([published], POLICY, NOW, most)).toMatchObject({
      ...{ reason: 'due', active: 'next', awaitsFleet: false, stragglers: [lacks] },
    });
  });

  test('nobody is a straggler before the lead is over, or without anything due', () => {
    expect(planRotation([due, waiting], POLICY, NOW, most)).toMatchObject({
      awaitsLead: true,
      stragglers: [],
    });
    expect(planRotation([young, published], POLICY, NOW, most)).toMatchObject({
      ...{ reason: 'not_due', awaitsFleet: false, stragglers: [] },
    });
  });

  test('where they cannot be asked the lead has to do', () => {
    const unavailableReason: Fleet = { verifiers: [], unavailableReason: 'It is away.' };
    expect(planRotation([due, published], POLICY, NOW, unavailableReason)).toMatchObject({
      reason: 'due',
      active: 'next',
    });
  });

  test('where they cannot be asked and have to be it waits, but not with force, nor where no key signs', () => {
    const unavailableReason: Fleet = { verifiers: [], unavailableReason: 'It is away.' };
    const policy = { ...POLICY, needsFleet: true };
    expect(planRotation([due, published], policy, NOW, unavailableReason)).toMatchObject({
      ...{ reason: 'waiting', active: 'old', pending: 'next', awaitsFleet: true, stragglers: [] },
    });
    expect(
      planRotation([due, published], { ...policy, leavesStragglers: true }, NOW, unavailableReason),
    ).toMatchObject({
      reason: 'due',
    });
    expect(planRotation([published], policy, NOW, unavailableReason)).toMatchObject({
      reason: 'due',
      active: 'next',
    });
    expect(planRotation([young, published], policy, NOW, unavailableReason)).toMatchObject({
      awaitsFleet: false,
    });
  });
});

describe('verifyUntil', () => {
  const verifyUntilOf = (maxTtlSeconds: number | null, policy: Partial<RotationPolicy> = {}) => {
    const plan = planRotation([{ ...due, maxTtlSeconds }, published], { ...POLICY, ...policy }, NOW);
    return plan.transitions.find((transition) => transition.to === 'retiring')?.verifyUntil;
  };

  test('is 60 s of holding, the longest lifetime and the clock tolerance from now', () => {
    expect(verifyUntilOf(DAY)).toBe(NOW + 60 + DAY + 5);
    expect(verifyUntilOf(DAY, { clockToleranceSeconds: 0 })).toBe(NOW + 60 + DAY);
  });

  test("is reckoned from the key's own longest lifetime where that is above the policy's", () => {
    expect(verifyUntilOf(90 * DAY)).toBe(NOW + 60 + 90 * DAY + 5);
    expect(verifyUntilOf(DAY, { maxTtlSeconds: 3600 })).toBe(NOW + 60 + DAY + 5);
  });

  test("is reckoned from the policy's where the key's own is below it or not known", () => {
    expect(verifyUntilOf(60)).toBe(NOW + 60 + DAY + 5);
    expect(verifyUntilOf(null)).toBe(NOW + 60 + DAY + 5);
  });
});

describe('retiring keys', () => {
  const retiring = signingKey({ kid: 'r', state: 'retiring', retiringAt: NOW - 9, verifyUntil: NOW });
  const retire = { kid: 'r', from: 'retiring', to: 'retired', at: NOW };

  test('are retired from verifyUntil on, and not a second before', () => {
    expect(planRotation([young, published, retiring], POLICY, NOW).transitions).toEqual([retire]);
    expect(planRotation([young, published, retiring], POLICY, NOW - 1).transitions).toEqual([]);
  });

  test('are retired whatever else happens', () => {
    expect(planRotation([due, published, retiring], POLICY, NOW).transitions).toEqual([
      retire,
      demote,
      promote,
    ]);
    expect(planRotation([young, retiring], POLICY, NOW)).toMatchObject({
      reason: 'published',
      transitions: [retire],
    });
  });

  test('without a verifyUntil are not', () => {
    expect(
      planRotation([young, published, { ...retiring, verifyUntil: null }], POLICY, NOW).transitions,
    ).toEqual([]);
  });
});

test('keys in other states are left alone', () => {
  const others = [
    signingKey({ kid: 'c', state: 'compromised', verifyUntil: NOW - 1 }),
    signingKey({ kid: 'd', state: 'retired', verifyUntil: NOW - 1 }),
  ];
  const kids = planRotation([due, published, ...others], FORCED, NOW).transitions.map(({ kid }) => kid);
  expect(kids).toEqual(['old', 'next']);
});

test('the keys that are given are not changed, nor is their order', () => {
  const older = { ...published, kid: 'older', createdAt: NOW - 9 * DAY };
  const keys = [published, due, older].map((key) => Object.freeze(key));
  planRotation(Object.freeze(keys), FORCED, NOW);
  expect(keys.map(({ kid }) => kid)).toEqual(['next', 'old', 'older']);
});
