import { dueAt } from '../keys/rotation-plan.js';
import { signingSchedule } from '../keys/signing-schedule.js';
import { longestWaitSeconds, signsFrom } from '../keys/signing-start.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Database } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

export interface KeyPolicy {
  rotateAfterSeconds: number;
  publishLeadSeconds: number;
}

export interface KeyStatus {
  /** Every key, oldest first. */
  all: readonly SigningKey[];
  active: SigningKey | null;
  pending: number;
  /** Null without an active key. The `kid` is null if no key is pending. */
  nextRotation: { at: number; kid: string | null } | null;
}

export function keyStatus(keys: readonly SigningKey[], policy: KeyPolicy, now: number): KeyStatus {
  const active = keys.find(({ state }) => state === 'active') ?? null;
  const schedule = signingSchedule(keys, policy, now);
  const [kid = null] = [...schedule].find(([, { place }]) => place === 1) ?? [];
  const next = keys.find((key) => key.kid === kid);
  return {
    all: keys,
    active,
    pending: schedule.size,
    nextRotation: active && { at: signsFrom(next, dueAt(active, policy), policy, now), kid },
  };
}

/** Returns when the rotation is due, even without a pending key; null without an active key. */
export function rotationDueAt({ active, nextRotation }: KeyStatus, policy: KeyPolicy): number | null {
  if (active === null || nextRotation === null) return null;
  return nextRotation.kid === null ? dueAt(active, policy) : nextRotation.at;
}

/** Returns by how many seconds a rotation is overdue; 0 if none is late. */
export function secondsLate(keys: KeyStatus, policy: KeyPolicy, now: number): number {
  const seconds = now - (rotationDueAt(keys, policy) ?? now);
  return seconds > longestWaitSeconds(policy) ? seconds : 0;
}

export function noActiveKey(pending: number): JwtctlError {
  const hint = pending > 0 ? 'Run `jwtctl keys rotate`.' : 'Run `jwtctl keys generate`.';
  return new JwtctlError('ERR_NO_ACTIVE_KEY', 'No key is active, so no token can be issued.', { hint });
}

/** Leaves out broken rows, which have a check of their own. */
export async function readableKeys({
  database: open,
}: {
  database(): Promise<Database>;
}): Promise<SigningKey[]> {
  return (await (await open()).keys.snapshot(() => {})).keys;
}
