import { type Fleet, withoutKey } from '../fleet/running-verifiers.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Heartbeat } from '../ports/index.js';
import { NOT_CHECKED, type Publication } from './publication.js';

export interface SigningStartPolicy {
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

export interface SigningStart {
  maySign: boolean;
  /** Verifiers that have not loaded the key may delay it further. */
  signsFrom: number;
  /** Whether it waits only for the publish lead, until `signsFrom`. */
  awaitsLead: boolean;
  /** Whether it waits only for `stragglers`, or for an answer about the fleet. */
  awaitsFleet: boolean;
  /** Whether it waits until `keys.publishUrl` shows the key. */
  awaitsPublication: boolean;
  /** Running verifiers that have not loaded the key; empty before the lead is over. */
  stragglers: Heartbeat[];
}

const STRAGGLERS_AWAITED_SECONDS = 3_600;

/** Returns how long a due rotation waits for verifiers. The wait has an end, because any client of Redis can fake a verifier. */
export function longestWaitSeconds({
  publishLeadSeconds,
}: Pick<SigningStartPolicy, 'publishLeadSeconds'>): number {
  return Math.max(STRAGGLERS_AWAITED_SECONDS, publishLeadSeconds);
}

/**
 * Decides when the next pending key may sign: when the active key is due, the publish lead is over, every running
 * verifier has loaded the next key, and `keys.publishUrl` shows it. A forced rotation waits for verifiers without limit.
 * @param next undefined for a key that does not exist yet
 */
export function signingStart(
  next: SigningKey | undefined,
  dueAt: number,
  policy: SigningStartPolicy,
  now: number,
  fleet: Fleet,
  { isShown }: Pick<Publication, 'isShown'> = NOT_CHECKED,
): SigningStart {
  const startsAt = signsFrom(next, dueAt, policy, now);
  const isDue = dueAt <= now;
  const isNext = isDue && (isPublished(next, policy, now) || skipsLead(policy));
  const stragglers = isNext ? verifiersWithout(fleet, next) : [];
  const isUnknown = isNext && policy.needsFleet && fleet.unavailableReason !== null;
  const isOverdue = !policy.isForced && now > startsAt + longestWaitSeconds(policy);
  const awaitsFleet = (stragglers.length > 0 || isUnknown) && waitsForFleet(policy) && !isOverdue;
  const awaitsPublication = isNext && !isShown && waitsForFleet(policy);
  return {
    maySign: isNext && !awaitsFleet && !awaitsPublication,
    signsFrom: startsAt,
    awaitsLead: isDue && !isNext,
    awaitsFleet,
    awaitsPublication,
    stragglers,
  };
}

/** Returns when a key may sign: the active key is due, and the publish lead is over. */
export function signsFrom(
  next: Pick<SigningKey, 'createdAt'> | undefined,
  dueAt: number,
  policy: Pick<SigningStartPolicy, 'publishLeadSeconds'>,
  now: number,
): number {
  return Math.max(dueAt, publishedFrom(next, policy, now));
}

export function publishedFrom(
  key: Pick<SigningKey, 'createdAt'> | undefined,
  { publishLeadSeconds }: Pick<SigningStartPolicy, 'publishLeadSeconds'>,
  now: number,
): number {
  return (key?.createdAt ?? now) + publishLeadSeconds;
}

/** Whether the publish lead is over, so that verifiers should know the key. */
export function isPublished(
  key: Pick<SigningKey, 'createdAt'> | undefined,
  policy: Pick<SigningStartPolicy, 'publishLeadSeconds'>,
  now: number,
): boolean {
  return key !== undefined && publishedFrom(key, policy, now) <= now;
}

export function waitsForFleet(policy: SigningStartPolicy): boolean {
  return !skipsLead(policy) && !policy.leavesStragglers;
}

function skipsLead({ isForced, keepsLead }: SigningStartPolicy): boolean {
  return isForced && !keepsLead;
}

export function verifiersWithout(fleet: Fleet, key: SigningKey | undefined): Heartbeat[] {
  return key === undefined ? [...fleet.verifiers] : withoutKey(fleet, key.kid);
}
