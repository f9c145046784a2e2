import { type Fleet, NO_VERIFIERS, withoutKey } from '../fleet/running-verifiers.js';
import { ISSUER_KEY_HOLD_SECONDS, type LifetimePolicy } from '../model/lifetime.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Heartbeat, KeyTransition } from '../ports/index.js';

export interface RotationPolicy extends LifetimePolicy {
  /** A key that has signed for this long is due. */
  rotateAfterSeconds: number;
  /** How long a key is published before it signs, so that every verifier has it by then. */
  publishLeadSeconds: number;
  /** Rotate whether due or not. */
  isForced: boolean;
  /** Whether a forced rotation waits, too, until the next key has been published for the lead. */
  keepsLead: boolean;
  /** Whether it goes on without verifiers that have not loaded the next key. */
  leavesStragglers: boolean;
  /** Whether another key signs only once the fleet has been asked. Else the lead has to do where it cannot be. */
  needsFleet: boolean;
}

/**
 * How long a due key waits for verifiers that have not loaded it, in seconds, unless the lead is longer. A running verifier
 * loads a key within seconds of its publication, and one that cannot read the database refuses all tokens after
 * `verifier.grace`. The limit is needed because any client that can write to Redis can fake a verifier that never loads a key.
 */
const STRAGGLERS_AWAITED_SECONDS = 3_600;

export type RotationReason = 'due' | 'not_due' | 'published' | 'waiting' | 'lost_race' | 'forced';

/** What one run of `keys rotate` is to do. */
export interface RotationPlan {
  reason: Exclude<RotationReason, 'lost_race'>;
  /** Applied in this order: the active key steps down before another one steps up. */
  transitions: KeyTransition[];
  /** Whether a new key has to be made that signs at once: a forced rotation with nothing published. */
  activatesNewKey: boolean;
  /** Whether a new key has to be made and published. */
  publishesNewKey: boolean;
  /** The kid that signs afterwards; null for a key that is still to be made. */
  active: string | null;
  /** The kid that signed until now; null where none did. */
  previous: string | null;
  /** The kid that signs next; null for none, or for one that is still to be made. */
  pending: string | null;
  /** When the pending key is to sign, as far as it is known now. */
  signsFrom: number;
  /** Whether the key that signs from now on was not published for the lead: a verifier may not know it yet. */
  isNotPrePublished: boolean;
  /** Whether nothing but the lead stands between now and the next key's signing, from `signsFrom` on. */
  awaitsLead: boolean;
  /** Whether nothing but the stragglers, or a fleet that cannot be asked, stands between now and the next key's signing. */
  awaitsFleet: boolean;
  /** Verifiers that run and have not loaded the key that signs from now on, or is to. */
  stragglers: Heartbeat[];
}

/**
 * Decides what is due. Pure: the same keys, policy and moment give the same plan.
 *
 * - There is always a pending key, so that a later rotation finds one that verifiers know.
 * - A pending key signs once the active one is due, the key has been published for the lead, and every running verifier has
 *   loaded it. It waits for verifiers for an hour or the lead, whichever is longer; a forced rotation has no such limit, because
 *   the user decides. If the fleet cannot be asked, only the lead counts, unless the policy `needsFleet`. The lead is for
 *   verifiers that do not report to the registry.
 * - A retiring key is retired when no token under it can be valid any more.
 *
 * @param fleet counts where the plan without it gives signing to another key
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
  const stragglers = isNext ? lacking(fleet, next) : [];
  const isUnknown = isNext && policy.needsFleet && fleet.unavailableReason !== null;
  const longestWait = Math.max(STRAGGLERS_AWAITED_SECONDS, policy.publishLeadSeconds);
  const isOverdue = !policy.isForced && now > Math.max(dueAt, publishedFrom) + longestWait;
  const awaitsFleet = (stragglers.length > 0 || isUnknown) && waitsForFleet(policy) && !isOverdue;

  // With no active key nothing can be issued: there is nothing to wait for.
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
      stragglers: lacking(fleet, next),
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

/** Whether a key signs only once the verifiers that run have loaded it. */
export function waitsForFleet(policy: RotationPolicy): boolean {
  return !skipsLead(policy) && !policy.leavesStragglers;
}

function skipsLead({ isForced, keepsLead }: RotationPolicy): boolean {
  return isForced && !keepsLead;
}

/** A key that is still to be made nobody has loaded. */
function lacking(fleet: Fleet, key: SigningKey | undefined): Heartbeat[] {
  return key === undefined ? [...fleet.verifiers] : withoutKey(fleet, key.kid);
}

/**
 * Compares by age, oldest first: the order in which pending keys become active. Keys of the same second keep the order of the
 * snapshot, in which they were added.
 */
export function byAge(a: SigningKey, b: SigningKey): number {
  return a.createdAt - b.createdAt;
}

function isOver(key: SigningKey, now: number): boolean {
  return key.state === 'retiring' && key.verifyUntil !== null && key.verifyUntil <= now;
}

function retirement(now: number): (key: SigningKey) => KeyTransition {
  return (key) => ({ kid: key.kid, from: 'retiring', to: 'retired', at: now });
}

/** The active key stops signing: it verifies until the last token that it can have signed has expired. */
export function demote(key: SigningKey, policy: LifetimePolicy, now: number): KeyTransition {
  const longestTtl = Math.max(key.maxTtlSeconds ?? 0, policy.maxTtlSeconds);
  const verifyUntil = now + ISSUER_KEY_HOLD_SECONDS + longestTtl + policy.clockToleranceSeconds;
  return { kid: key.kid, from: 'active', to: 'retiring', at: now, verifyUntil };
}

/** A pending key begins to sign. */
export function promote(key: SigningKey, policy: LifetimePolicy, now: number): KeyTransition {
  return { kid: key.kid, from: 'pending', to: 'active', at: now, maxTtlSeconds: policy.maxTtlSeconds };
}
