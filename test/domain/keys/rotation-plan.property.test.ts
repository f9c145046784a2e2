import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CompromisePolicy, planCompromise } from '../../../src/domain/keys/compromise.js';
import {
  planRotation,
  type RotationPlan,
  type RotationPolicy,
} from '../../../src/domain/keys/rotation-plan.js';
import type { LifetimePolicy } from '../../../src/domain/model/lifetime.js';
import type { SigningKey } from '../../../src/domain/model/signing-key.js';
import type { KeyTransition } from '../../../src/domain/ports/index.js';
import { signingKey } from '../../support/signing-keys.js';

const policies = fc.record({
  rotateAfterSeconds: fc.integer({ min: 1, max: 5_000 }),
  publishLeadSeconds: fc.integer({ min: 1, max: 2_000 }),
  maxTtlSeconds: fc.integer({ min: 1, max: 3_000 }),
  clockToleranceSeconds: fc.integer({ min: 0, max: 60 }),
  refreshTtlSeconds: fc.constant(3600),
});

/** Time passes, a rotation runs, or an operator adds, retires, or compromises a key. */
const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ rotate: policies, isForced: fc.boolean(), keepsLead: fc.boolean() }),
    },
    { weight: 4, arbitrary: fc.record({ advance: fc.integer({ min: 0, max: 4_000 }) }) },
    { weight: 1, arbitrary: fc.constant({ add: true }) },
    { weight: 1, arbitrary: fc.record({ lose: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ compromise: fc.nat(20), policy: policies }) },
    { weight: 1, arbitrary: fc.record({ raiseMaxTtl: fc.integer({ min: 1, max: 9_000 }) }) },
  ),
  { maxLength: 30 },
);

interface Rotation {
  before: SigningKey[];
  after: SigningKey[];
  plan: RotationPlan;
  policy: RotationPolicy;
  now: number;
}

/** Runs the steps from a store with one active key, and returns all rotations. */
function rotationsOf(history: typeof steps extends fc.Arbitrary<infer T> ? T : never): Rotation[] {
  let now = 1_000_000;
  let keys = [
    signingKey({ kid: 'k0', state: 'active', createdAt: now, activatedAt: now, maxTtlSeconds: 60 }),
  ];
  const rotations: Rotation[] = [];
  for (const step of history) {
    if ('advance' in step) now += step.advance;
    if ('add' in step)
      keys = [...keys, signingKey({ kid: `k${keys.length}`, state: 'pending', createdAt: now })];
    if ('lose' in step) {
      // Another program removed the key, so no key may be active afterwards.
      keys = keys.map((key, index) => (index === step.lose ? { ...key, state: 'retired' } : key));
    }
    if ('compromise' in step) keys = afterCompromise(keys, step.compromise, step.policy, now);
    if ('raiseMaxTtl' in step) {
      keys = keys.map((key) =>
        key.state === 'active'
          ? { ...key, maxTtlSeconds: Math.max(key.maxTtlSeconds ?? 0, step.raiseMaxTtl) }
          : key,
      );
    }
    if ('rotate' in step) {
      const policy = {
        ...step.rotate,
        isForced: step.isForced,
        keepsLead: step.keepsLead,
        leavesStragglers: false,
        needsFleet: false,
      };
      const plan = planRotation(keys, policy, now);
      const after = carryOut(plan, keys, policy, now);
      rotations.push({ before: keys, after, plan, policy, now });
      keys = after;
    }
  }
  return rotations;
}

/** Expects that another key is active afterwards, and that a second run has nothing to do. */
function afterCompromise(
  before: SigningKey[],
  index: number,
  policy: CompromisePolicy,
  now: number,
): SigningKey[] {
  const key = before[index];
  if (key === undefined) return before;
  const plan = planCompromise(before, key, policy, now);
  const after = carryOut(plan, before, policy, now);
  expect(activeOf(after)).toHaveLength(1);
  expect(activeOf(after)[0]?.kid).not.toBe(key.kid);
  const marked = after.find(({ kid }) => kid === key.kid) as SigningKey;
  expect(marked.state).toBe('compromised');
  const again = planCompromise(after, marked, policy, now);
  expect(again).toMatchObject({ transitions: [], activatesNewKey: false, publishesNewKey: false });
  return after;
}

/** Applies a plan as the key store does. Expects at most one active key at every moment. */
function carryOut(
  plan: Pick<RotationPlan, 'transitions' | 'activatesNewKey' | 'publishesNewKey'>,
  before: SigningKey[],
  policy: LifetimePolicy,
  now: number,
): SigningKey[] {
  let keys = before;
  for (const transition of plan.transitions) {
    expect(keys.find(({ kid }) => kid === transition.kid)?.state).toBe(transition.from);
    keys = keys.map((key) => (key.kid === transition.kid ? moved(key, transition) : key));
    expect(activeOf(keys).length).toBeLessThanOrEqual(1);
  }
  const make = (parts: Partial<SigningKey> & Pick<SigningKey, 'state'>) => {
    keys = [...keys, signingKey({ kid: `k${keys.length}`, createdAt: now, ...parts })];
  };
  if (plan.activatesNewKey) make({ state: 'active', activatedAt: now, maxTtlSeconds: policy.maxTtlSeconds });
  if (plan.publishesNewKey) make({ state: 'pending' });
  return keys;
}

function moved(key: SigningKey, transition: KeyTransition): SigningKey {
  const { at, to: state } = transition;
  switch (transition.to) {
    case 'pending':
      return { ...key, state, verifyUntil: null };
    case 'active':
      return { ...key, state, activatedAt: at, maxTtlSeconds: transition.maxTtlSeconds };
    case 'retiring':
      return { ...key, state, retiringAt: at, verifyUntil: transition.verifyUntil };
    case 'retired':
      return { ...key, state, retiredAt: at };
    case 'compromised':
      return { ...key, state, compromisedAt: at };
  }
}

function activeOf(keys: readonly SigningKey[]): SigningKey[] {
  return keys.filter((key) => key.state === 'active');
}

function always(holds: (rotation: Rotation) => void): void {
  fc.assert(
    fc.property(steps, (history) => {
      for (const rotation of rotationsOf(history)) holds(rotation);
    }),
    { numRuns: 500 },
  );
}

test('a rotation leaves one active key and at least one pending key', () => {
  always(({ after, plan }) => {
    expect(activeOf(after)).toHaveLength(1);
    if (plan.active !== null) expect(activeOf(after)[0]?.kid).toBe(plan.active);
    expect(after.some((key) => key.state === 'pending')).toBe(true);
  });
});

test('a key becomes active before its publish lead is over only by force or if no key is active', () => {
  always(({ before, after, plan, policy, now }) => {
    const signs = activeOf(after)[0] as SigningKey;
    const isSame = before.some((key) => key.kid === signs.kid && key.state === 'active');
    const isPublished = signs.createdAt + policy.publishLeadSeconds <= now;
    if (isSame || isPublished) return;
    expect(plan.isNotPrePublished).toBe(true);
    expect((policy.isForced && !policy.keepsLead) || activeOf(before).length === 0).toBe(true);
  });
});

test('no key is demoted before it is due, unless forced', () => {
  always(({ before, after, policy, now }) => {
    const active = activeOf(before)[0];
    if (active === undefined || activeOf(after)[0]?.kid === active.kid || policy.isForced) return;
    expect((active.activatedAt ?? active.createdAt) + policy.rotateAfterSeconds).toBeLessThanOrEqual(now);
  });
});

test('no key is retired while one of its tokens may be valid', () => {
  always(({ before, after, plan, policy, now }) => {
    for (const { kid, to } of plan.transitions) {
      const key = after.find((other) => other.kid === kid) as SigningKey;
      if (to === 'retired') expect(key.verifyUntil ?? Infinity).toBeLessThanOrEqual(now);
      if (to !== 'retiring') continue;
      // The last token is signed 60 s from now at the latest, and accepted until its exp plus the tolerance.
      const ownMaxTtl = before.find((other) => other.kid === kid)?.maxTtlSeconds ?? 0;
      const lastMoment = now + 60 + Math.max(ownMaxTtl, policy.maxTtlSeconds) + policy.clockToleranceSeconds;
      expect(key.verifyUntil).toBeGreaterThanOrEqual(lastMoment);
    }
  });
});

test('planning again immediately finds nothing to do', () => {
  always(({ after, policy, now }) => {
    const again = planRotation(after, { ...policy, isForced: false }, now);
    expect(['not_due', 'waiting']).toContain(again.reason);
    expect(again).toMatchObject({ transitions: [], activatesNewKey: false, publishesNewKey: false });
  });
});

test('a rotation is due at signsFrom and not before, unless forced', () => {
  always(({ after, plan, policy }) => {
    // A forced rotation that waits for the lead is still forced after the lead.
    const later = plan.awaitsLead ? policy : { ...policy, isForced: false };
    expect(['not_due', 'waiting']).toContain(planRotation(after, later, plan.signsFrom - 1).reason);
    expect(planRotation(after, later, plan.signsFrom).reason).toBe(later.isForced ? 'forced' : 'due');
  });
});

test('compromised and retired keys keep their state', () => {
  always(({ before, after }) => {
    for (const key of before.filter(({ state }) => state === 'compromised' || state === 'retired')) {
      expect(after.find(({ kid }) => kid === key.kid)).toEqual(key);
    }
  });
});
