import { type Fleet, NO_VERIFIERS } from '../fleet/running-verifiers.js';
import { ISSUER_KEY_HOLD_SECONDS, type LifetimePolicy } from '../model/lifetime.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Heartbeat, KeyTransition } from '../ports/index.js';
import { NOT_CHECKED, type Publication } from './publication.js';
import {
  isPublished,
  publishedFrom,
  type SigningStartPolicy,
  signingStart,
  verifiersWithout,
} from './signing-start.js';

export interface RotationPolicy extends LifetimePolicy, SigningStartPolicy {
  rotateAfterSeconds: number;
}

export type RotationReason = 'due' | 'not_due' | 'published' | 'waiting' | 'lost_race' | 'forced';

export interface RotationPlan {
  reason: Exclude<RotationReason, 'lost_race'>;
  /** Applied in this order: the active key is demoted before another one is promoted. */
  transitions: KeyTransition[];
  /** Whether a new key has to sign at once, because no key is pending. */
  activatesNewKey: boolean;
  publishesNewKey: boolean;
  /** Null for a key that does not exist yet. */
  active: string | null;
  previous: string | null;
  /** Null for none, or for a key that does not exist yet. */
  pending: string | null;
  signsFrom: number;
  /** True if the new active key's publish lead is not over: verifiers may not know it yet. */
  isNotPrePublished: boolean;
  /** Whether the rotation waits only for the publish lead, until `signsFrom`. */
  awaitsLead: boolean;
  /** Whether the rotation waits only for `stragglers`, or for an answer about the fleet. */
  awaitsFleet: boolean;
  /** Whether the rotation waits until `keys.publishUrl` shows the pending key. */
  awaitsPublication: boolean;
  /** Running verifiers that have not loaded the new active key or the next one. */
  stragglers: Heartbeat[];
}

/**
 * Decides what one run of `keys rotate` does.
 * - It keeps a pending key published, so that a later rotation has a key that verifiers know.
 * - It promotes a pending key when {@link signingStart} allows it.
 * - It retires a retiring key when no token under it can be valid.
 */
export function planRotation(
  keys: readonly SigningKey[],
  policy: RotationPolicy,
  now: number,
  fleet: Fleet = NO_VERIFIERS,
  publication: Pick<Publication, 'isShown'> = NOT_CHECKED,
): RotationPlan {
  const active = keys.find((key) => key.state === 'active');
  const [next, ...laterPending] = keys.filter((key) => key.state === 'pending').sort(byAge);
  const retirements = keys.filter((key) => isOver(key, now)).map(retirement(now));

  const due = active === undefined || policy.isForced ? now : dueAt(active, policy);
  const start = signingStart(next, due, policy, now, fleet, publication);

  // Without an active key no token can be issued, so do not wait.
  if (active === undefined || start.maySign) {
    return {
      reason: policy.isForced ? 'forced' : 'due',
      transitions: [
        ...retirements,
        ...(active === undefined ? [] : [demote(active, policy, now)]),
        ...(next === undefined ? [] : [promote(next, policy, now)]),
      ],
      activatesNewKey: next === undefined,
      publishesNewKey: laterPending.length === 0,
      active: next?.kid ?? null,
      previous: active?.kid ?? null,
      pending: laterPending[0]?.kid ?? null,
      signsFrom: Math.max(now + policy.rotateAfterSeconds, publishedFrom(laterPending[0], policy, now)),
      isNotPrePublished: !isPublished(next, policy, now),
      awaitsLead: false,
      awaitsFleet: false,
      awaitsPublication: false,
      stragglers: verifiersWithout(fleet, next),
    };
  }
  return {
    reason: next === undefined ? 'published' : due <= now ? 'waiting' : 'not_due',
    transitions: retirements,
    activatesNewKey: false,
    publishesNewKey: next === undefined,
    active: active?.kid ?? null,
    previous: null,
    pending: next?.kid ?? null,
    signsFrom: start.signsFrom,
    isNotPrePublished: false,
    awaitsLead: start.awaitsLead,
    awaitsFleet: start.awaitsFleet,
    awaitsPublication: start.awaitsPublication,
    stragglers: start.stragglers,
  };
}

/** Returns when the active key is old enough for a rotation. */
export function dueAt(active: SigningKey, policy: Pick<RotationPolicy, 'rotateAfterSeconds'>): number {
  return (active.activatedAt ?? active.createdAt) + policy.rotateAfterSeconds;
}

/** Sorts oldest first. Keys of the same second keep the order in which they were added. */
export function byAge(a: SigningKey, b: SigningKey): number {
  return a.createdAt - b.createdAt;
}

function isOver(key: SigningKey, now: number): boolean {
  return key.state === 'retiring' && key.verifyUntil !== null && key.verifyUntil <= now;
}

function retirement(now: number): (key: SigningKey) => KeyTransition {
  return (key) => ({ kid: key.kid, from: 'retiring', to: 'retired', at: now });
}

export function demote(key: SigningKey, policy: LifetimePolicy, now: number): KeyTransition {
  const verifyUntil = verifyUntilAfter(key, policy, now);
  return { kid: key.kid, from: 'active', to: 'retiring', at: now, verifyUntil };
}

/** Returns when the last token has expired that the key can have signed before `signsUntil`. */
export function verifyUntilAfter(
  { maxTtlSeconds }: Pick<SigningKey, 'maxTtlSeconds'>,
  policy: LifetimePolicy,
  signsUntil: number,
): number {
  const longestTtl = Math.max(maxTtlSeconds ?? 0, policy.maxTtlSeconds);
  return signsUntil + ISSUER_KEY_HOLD_SECONDS + longestTtl + policy.clockToleranceSeconds;
}

export function promote(key: SigningKey, policy: LifetimePolicy, now: number): KeyTransition {
  const maxTtlSeconds = Math.max(key.maxTtlSeconds ?? 0, policy.maxTtlSeconds);
  return { kid: key.kid, from: 'pending', to: 'active', at: now, maxTtlSeconds };
}
