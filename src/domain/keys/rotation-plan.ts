import { type Fleet, NO_VERIFIERS, withoutKey } from '../fleet/running-verifiers.js';
import { ISSUER_KEY_HOLD_SECONDS, type LifetimePolicy } from '../model/lifetime.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Heartbeat, KeyTransition } from '../ports/index.js';

export interface RotationPolicy extends LifetimePolicy {
  rotateAfterSeconds: number;
  /** How long a key is published before it signs, so that every verifier loads it. */
  publishLeadSeconds: number;
  isForced: boolean;
  /** Whether a forced rotation waits for the publish lead, too. */
  keepsLead: boolean;
  /** Whether to rotate without waiting for verifiers that have not loaded the next key. */
  leavesStragglers: boolean;
  /** Whether to wait while the fleet cannot be asked. Otherwise the publish lead is enough. */
  needsFleet: boolean;
}

// How long a due rotation waits for verifiers, unless the lead is longer. The limit exists because any client that can
// write to Redis can fake a verifier that never loads a key.
const STRAGGLERS_AWAITED_SECONDS = 3_600;

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
  /** Running verifiers that have not loaded the new active key or the next one. */
  stragglers: Heartbeat[];
}

/**
 * Decides what one run of `keys rotate` does.
 * - It keeps a pending key published, so that a later rotation has a key that verifiers know.
 * - It promotes a pending key when the rotation is due, the publish lead is over, and every running verifier has loaded
 *   the key. It waits for verifiers for an hour or the lead, if longer; a forced rotation waits without limit.
 * - It retires a retiring key when no token under it can be valid.
 */
export function planRotation(
  keys: readonly SigningKey[],
  policy: RotationPolicy,
  now: number,
  fleet: Fleet = NO_VERIFIERS,
): RotationPlan {
  const active = keys.find((key) => key.state === 'active');
  const [next, ...laterPending] = keys.filter((key) => key.state === 'pending').sort(byAge);
  const retirements = keys.filter((key) => isOver(key, now)).map(retirement(now));

  const dueAt =
    active === undefined || policy.isForced
      ? now
      : (active.activatedAt ?? active.createdAt) + policy.rotateAfterSeconds;
  const publishedFrom =
    next === undefined ? now + policy.publishLeadSeconds : next.createdAt + policy.publishLeadSeconds;
  const isDue = dueAt <= now;
  const isPublished = next !== undefined && publishedFrom <= now;

  const isNext = isDue && (isPublished || skipsLead(policy));
  const stragglers = isNext ? verifiersWithout(fleet, next) : [];
  const isUnknown = isNext && policy.needsFleet && fleet.unavailableReason !== null;
  const longestWait = Math.max(STRAGGLERS_AWAITED_SECONDS, policy.publishLeadSeconds);
  const isOverdue = !policy.isForced && now > Math.max(dueAt, publishedFrom) + longestWait;
  const awaitsFleet = (stragglers.length > 0 || isUnknown) && waitsForFleet(policy) && !isOverdue;

  // Without an active key no token can be issued, so do not wait.
  if (active === undefined || (isNext && !awaitsFleet)) {
    const nextDueAt = now + policy.rotateAfterSeconds;
    const nextPublishedFrom = (laterPending[0]?.createdAt ?? now) + policy.publishLeadSeconds;
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
      signsFrom: Math.max(nextDueAt, nextPublishedFrom),
      isNotPrePublished: !isPublished,
      awaitsLead: false,
      awaitsFleet: false,
      stragglers: verifiersWithout(fleet, next),
    };
  }
  return {
    reason: next === undefined ? 'published' : isDue ? 'waiting' : 'not_due',
    transitions: retirements,
    activatesNewKey: false,
    publishesNewKey: next === undefined,
    active: active?.kid ?? null,
    previous: null,
    pending: next?.kid ?? null,
    signsFrom: Math.max(dueAt, publishedFrom),
    isNotPrePublished: false,
    awaitsLead: isDue && !isNext,
    awaitsFleet,
    stragglers,
  };
}

export function waitsForFleet(policy: RotationPolicy): boolean {
  return !skipsLead(policy) && !policy.leavesStragglers;
}

function skipsLead({ isForced, keepsLead }: RotationPolicy): boolean {
  return isForced && !keepsLead;
}

function verifiersWithout(fleet: Fleet, key: SigningKey | undefined): Heartbeat[] {
  return key === undefined ? [...fleet.verifiers] : withoutKey(fleet, key.kid);
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

/** The key verifies until the last token that it can have signed has expired. */
export function demote(key: SigningKey, policy: LifetimePolicy, now: number): KeyTransition {
  const longestTtl = Math.max(key.maxTtlSeconds ?? 0, policy.maxTtlSeconds);
  const verifyUntil = now + ISSUER_KEY_HOLD_SECONDS + longestTtl + policy.clockToleranceSeconds;
  return { kid: key.kid, from: 'active', to: 'retiring', at: now, verifyUntil };
}

export function promote(key: SigningKey, policy: LifetimePolicy, now: number): KeyTransition {
  return { kid: key.kid, from: 'pending', to: 'active', at: now, maxTtlSeconds: policy.maxTtlSeconds };
}
