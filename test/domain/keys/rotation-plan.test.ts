import { describe, expect, test } from 'vitest';
import { type Fleet, NO_VERIFIERS } from '../../../src/domain/fleet/running-verifiers.js';
import { planRotation, type RotationPolicy } from '../../../src/domain/keys/rotation-plan.js';
import { heartbeatOf } from '../../support/heartbeats.js';
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

/** Until when tokens of a key demoted now may be accepted. */
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
  awaitsPublication: false,
  stragglers: [],
};
const demote = { kid: 'old', from: 'active', to: 'retiring', at: NOW, verifyUntil: VERIFY_UNTIL };
const promote = { kid: 'next', from: 'pending', to: 'active', at: NOW, maxTtlSeconds: DAY };

describe('without force', () => {
  test('keeps a young key active', () => {
    expect(planRotation([young, published], POLICY, NOW)).toEqual({
      ...nothing,
      reason: 'not_due',
      publishesNewKey: false,
      active: 'young',
      pending: 'next',
      signsFrom: NOW + 1,
    });
  });

  test('uses the creation time of a key without an activation time', () => {
    const neverActivated = { ...due, activatedAt: null };
    expect(
      planRotation([{ ...neverActivated, createdAt: NOW - 30 * DAY }, published], POLICY, NOW).reason,
    ).toBe('due');
    expect(
      planRotation([{ ...neverActivated, createdAt: NOW - 30 * DAY + 1 }, published], POLICY, NOW).reason,
    ).toBe('not_due');
  });

  test('demotes the due key and then promotes the published one', () => {
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
      awaitsPublication: false,
      stragglers: [],
    });
  });

  test('waits for the publish lead of the pending key', () => {
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
  ])('publishes a key if none is pending and the active key is $name', (wanted) => {
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

  test('promotes the oldest pending key, and publishes none if another is pending', () => {
    const older = { ...published, kid: 'older', createdAt: NOW - 9 * DAY };
    const plan = planRotation([due, published, older], POLICY, NOW);
    expect(plan).toMatchObject({ active: 'older', pending: 'next', publishesNewKey: false });
  });

  test('promotes the key added first of pending keys created in the same second', () => {
    const first = signingKey({ id: 9, kid: 'z', state: 'pending', createdAt: NOW - DAY });
    const second = signingKey({ id: 8, kid: 'a', state: 'pending', createdAt: NOW - DAY });
    expect(planRotation([due, first, second], POLICY, NOW)).toMatchObject({ active: 'z', pending: 'a' });
  });

  test('waits for nothing if no key is active', () => {
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

  test('generates two keys if none is active or pending', () => {
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
  test('replaces a young key with the published one', () => {
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

  test('activates a key before its publish lead is over, and reports it as not pre-published', () => {
    expect(planRotation([young, waiting], FORCED, NOW)).toMatchObject({
      reason: 'forced',
      active: 'next',
      isNotPrePublished: true,
    });
  });

  test('generates an active and a pending key if none is pending', () => {
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

describe('forced, but keeping the publish lead', () => {
  const PATIENT = { ...FORCED, keepsLead: true };

  test('replaces a young key with one published for the lead', () => {
    expect(planRotation([young, published], PATIENT, NOW)).toMatchObject({
      reason: 'forced',
      active: 'next',
      awaitsLead: false,
    });
  });

  test('waits only for the lead of a newer pending key', () => {
    expect(planRotation([young, waiting], PATIENT, NOW)).toMatchObject({
      reason: 'waiting',
      active: 'young',
      signsFrom: NOW + 1,
      awaitsLead: true,
      transitions: [],
    });
  });

  test('publishes a key and waits for its lead if none is pending', () => {
    expect(planRotation([young], PATIENT, NOW)).toMatchObject({
      reason: 'published',
      publishesNewKey: true,
      activatesNewKey: false,
      signsFrom: NOW + POLICY.publishLeadSeconds,
      awaitsLead: true,
    });
  });
});

describe('with running verifiers', () => {
  const knows = heartbeatOf('knows', NOW, { kids: ['old', 'next'] });
  const lacks = heartbeatOf('lacks', NOW, { kids: ['old'] });
  const allLoaded: Fleet = { verifiers: [knows], unavailableReason: null };
  const oneLacks: Fleet = { verifiers: [knows, lacks], unavailableReason: null };

  test('rotates if all of them have loaded the key', () => {
    const plan = planRotation([due, published], POLICY, NOW, allLoaded);
    expect(plan).toEqual(planRotation([due, published], POLICY, NOW));
    expect(plan).toMatchObject({ reason: 'due', active: 'next', stragglers: [] });
  });

  test('waits for a verifier that has not loaded the key, and names it', () => {
    expect(planRotation([due, published], POLICY, NOW, oneLacks)).toEqual({
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

  test('waits for a fake verifier at most an hour or the lead', () => {
    const dueAt = NOW;
    const active = { ...due, activatedAt: dueAt - POLICY.rotateAfterSeconds };
    const shortLead = { ...POLICY, publishLeadSeconds: 60 };
    const plan = (now: number, policy = shortLead) =>
      planRotation([active, published], policy, now, oneLacks);
    expect(plan(dueAt + 3_600)).toMatchObject({ reason: 'waiting', awaitsFleet: true, stragglers: [lacks] });
    expect(plan(dueAt + 3_601)).toMatchObject({
      ...{ reason: 'due', active: 'next', awaitsFleet: false, stragglers: [lacks] },
    });
    expect(plan(dueAt + DAY, POLICY)).toMatchObject({ reason: 'waiting' });
    expect(plan(dueAt + DAY + 1, POLICY)).toMatchObject({ reason: 'due' });
    const byHand = { ...shortLead, isForced: true, keepsLead: true };
    expect(plan(dueAt + 3_601, byHand)).toMatchObject({ reason: 'waiting', awaitsFleet: true });
  });

  test('retires expired keys while it waits', () => {
    const over = signingKey({ kid: 'r', state: 'retiring', retiringAt: NOW - 9, verifyUntil: NOW });
    const plan = planRotation([due, published, over], POLICY, NOW, oneLacks);
    expect(plan.transitions).toEqual([{ kid: 'r', from: 'retiring', to: 'retired', at: NOW }]);
  });

  test('skips them if it leaves stragglers, but keeps the lead', () => {
    const policy = { ...POLICY, leavesStragglers: true };
    expect(planRotation([due, published], policy, NOW, oneLacks)).toMatchObject({
      ...{ reason: 'due', active: 'next', awaitsFleet: false, stragglers: [lacks] },
    });
    expect(planRotation([due, waiting], policy, NOW, oneLacks)).toMatchObject({
      ...{ reason: 'waiting', awaitsLead: true, awaitsFleet: false, stragglers: [] },
    });
  });

  test('does not wait for them when forced, unless the lead is kept', () => {
    expect(planRotation([young, waiting], FORCED, NOW, oneLacks)).toMatchObject({
      ...{ reason: 'forced', active: 'next', awaitsFleet: false, stragglers: [lacks] },
    });
    expect(planRotation([young], FORCED, NOW, oneLacks)).toMatchObject({
      ...{ activatesNewKey: true, stragglers: [knows, lacks] },
    });
    expect(planRotation([young, published], { ...FORCED, keepsLead: true }, NOW, oneLacks)).toMatchObject({
      ...{ reason: 'waiting', awaitsLead: false, awaitsFleet: true, stragglers: [lacks] },
    });
  });

  test('does not wait for them if no key is active', () => {
    expect(planRotation([published], POLICY, NOW, oneLacks)).toMatchObject({
      ...{ reason: 'due', active: 'next', awaitsFleet: false, stragglers: [lacks] },
    });
  });

  test('reports no stragglers before the lead is over or a rotation is due', () => {
    expect(planRotation([due, waiting], POLICY, NOW, oneLacks)).toMatchObject({
      awaitsLead: true,
      stragglers: [],
    });
    expect(planRotation([young, published], POLICY, NOW, oneLacks)).toMatchObject({
      ...{ reason: 'not_due', awaitsFleet: false, stragglers: [] },
    });
  });

  test('needs only the lead if they cannot be asked', () => {
    const unavailableReason: Fleet = { verifiers: [], unavailableReason: 'It is away.' };
    expect(planRotation([due, published], POLICY, NOW, unavailableReason)).toMatchObject({
      reason: 'due',
      active: 'next',
    });
  });

  test('waits if they must be asked and cannot, unless forced or no key is active', () => {
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

  test('is 60 s for issuers, plus the longest lifetime and the clock tolerance', () => {
    expect(verifyUntilOf(DAY)).toBe(NOW + 60 + DAY + 5);
    expect(verifyUntilOf(DAY, { clockToleranceSeconds: 0 })).toBe(NOW + 60 + DAY);
  });

  test("uses the key's longest lifetime if it exceeds the policy's", () => {
    expect(verifyUntilOf(90 * DAY)).toBe(NOW + 60 + 90 * DAY + 5);
    expect(verifyUntilOf(DAY, { maxTtlSeconds: 3600 })).toBe(NOW + 60 + DAY + 5);
  });

  test("uses the policy's if the key's is shorter or unknown", () => {
    expect(verifyUntilOf(60)).toBe(NOW + 60 + DAY + 5);
    expect(verifyUntilOf(null)).toBe(NOW + 60 + DAY + 5);
  });
});

describe('retiring keys', () => {
  const retiring = signingKey({ kid: 'r', state: 'retiring', retiringAt: NOW - 9, verifyUntil: NOW });
  const retire = { kid: 'r', from: 'retiring', to: 'retired', at: NOW };

  test('are retired at verifyUntil, and not a second earlier', () => {
    expect(planRotation([young, published, retiring], POLICY, NOW).transitions).toEqual([retire]);
    expect(planRotation([young, published, retiring], POLICY, NOW - 1).transitions).toEqual([]);
  });

  test('are retired in every kind of run', () => {
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

  test('stay without a verifyUntil', () => {
    expect(
      planRotation([young, published, { ...retiring, verifyUntil: null }], POLICY, NOW).transitions,
    ).toEqual([]);
  });
});

test('leave keys in other states unchanged', () => {
  const others = [
    signingKey({ kid: 'c', state: 'compromised', verifyUntil: NOW - 1 }),
    signingKey({ kid: 'd', state: 'retired', verifyUntil: NOW - 1 }),
  ];
  const kids = planRotation([due, published, ...others], FORCED, NOW).transitions.map(({ kid }) => kid);
  expect(kids).toEqual(['old', 'next']);
});

test('does not modify or reorder its input', () => {
  const older = { ...published, kid: 'older', createdAt: NOW - 9 * DAY };
  const keys = [published, due, older].map((key) => Object.freeze(key));
  planRotation(Object.freeze(keys), FORCED, NOW);
  expect(keys.map(({ kid }) => kid)).toEqual(['next', 'old', 'older']);
});

describe('with keys.publishUrl', () => {
  const missing = { isShown: false };

  test('waits until the URL shows the key, without a limit', () => {
    for (const now of [NOW, NOW + 30 * 86_400]) {
      const plan = planRotation([due, published], POLICY, now, NO_VERIFIERS, missing);
      expect(plan).toMatchObject({ reason: 'waiting', awaitsPublication: true, transitions: [] });
    }
  });

  test('does not wait if it is told so, or if no key is active', () => {
    for (const more of [{ leavesStragglers: true }, { isForced: true }]) {
      const plan = planRotation([due, published], { ...POLICY, ...more }, NOW, NO_VERIFIERS, missing);
      expect(plan).toMatchObject({ active: 'next', awaitsPublication: false });
    }
    expect(planRotation([published], POLICY, NOW, NO_VERIFIERS, missing)).toMatchObject({ active: 'next' });
  });
});
