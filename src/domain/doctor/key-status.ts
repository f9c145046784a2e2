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
    active,
    pending: schedule.size,
    nextRotation: active && { at: signsFrom(next, dueAt(active, policy), policy, now), kid },
  };
}

/** Returns by how many seconds a rotation is overdue; 0 if it is not; 0 if none is late. */
export function secondsLate({ active, nextRotation }: KeyStatus, policy: KeyPolicy, now: number): number {
  if (active === null || nextRotation === null) return 0;
  const from = nextRotation.kid === null ? dueAt(active, policy) : nextRotation.at;
  const seconds = now - from;
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
