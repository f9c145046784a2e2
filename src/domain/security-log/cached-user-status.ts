import type { KnownUserStatus, TokenRegistry, User, UserDirectory, UserStatus } from '../ports/index.js';
import type { UserChange } from './revocation-index.js';

export interface StatusPolicy {
  /** How long a user's status may be used before the directory is asked again, in seconds. */
  statusTtlSeconds: number;
  /** How far apart the clocks of two hosts may be, in seconds. */
  clockToleranceSeconds: number;
  /** Whether the security log records every user change: only with `users.source: managed`. */
  logsUserChanges: boolean;
}

/**
 * Returns the status that a cached user status proves; null if the directory must be asked.
 *
 * Any client that can write to Redis can forge a cached status, so it counts only if it cannot undo a change. If the security
 * log has a change of the user, the cached status must be the result of that change, with its version. If the log has none,
 * the user was not disabled during the lifetime of any of their tokens, so only "enabled" counts. If the log does not record
 * the directory's changes, a cached status proves nothing.
 *
 * @returns a status with the version of `change`, or with version 0 without a change; any later change ends it
 */
export function provenStatus(
  cached: KnownUserStatus | null,
  change: UserChange | null,
  now: number,
  policy: StatusPolicy,
): KnownUserStatus | null {
  if (cached === null || !policy.logsUserChanges || !isCurrent(cached, now, policy)) return null;
  return agrees(cached, change) ? { ...cached, version: change?.version ?? 0 } : null;
}

/**
 * Whether the directory's last answer to this process may be used again: it has not expired, and neither the security log
 * nor the registry has a later version.
 */
export function isStillTold(
  told: KnownUserStatus,
  { cached, change }: { cached: KnownUserStatus | null; change: UserChange | null },
  now: number,
  policy: StatusPolicy,
): boolean {
  if (!isCurrent(told, now, policy)) return false;
  if (!policy.logsUserChanges) return true;
  return !isOvertaken(told, change) && (cached === null || cached.version <= told.version);
}

/** Whether a status has not expired. One that lasts longer than possible does not count: some clock is or was wrong. */
export function isCurrent(
  { until }: KnownUserStatus,
  now: number,
  policy: Omit<StatusPolicy, 'logsUserChanges'>,
): boolean {
  return now < until && until <= longestUntil(now, policy);
}

function longestUntil(
  now: number,
  { statusTtlSeconds, clockToleranceSeconds }: Omit<StatusPolicy, 'logsUserChanges'>,
): number {
  return now + statusTtlSeconds + clockToleranceSeconds;
}

function agrees({ status, version }: KnownUserStatus, change: UserChange | null): boolean {
  if (change === null) return status === 'enabled';
  return version === change.version && status === STATUS_AFTER[change.type];
}

const STATUS_AFTER = {
  user_enabled: 'enabled',
  user_disabled: 'disabled',
  user_removed: null,
} as const;

/**
 * Returns the status to use while the directory does not answer: its last answer, or a cached status that contradicts no known
 * change, until `graceSeconds` after it expired. If the two differ, the result is "disabled". Returns null if neither counts.
 */
export function statusMeanwhile(
  {
    told,
    cached,
    change,
  }: { told: KnownUserStatus | null; cached: KnownUserStatus | null; change: UserChange | null },
  now: number,
  { graceSeconds, ...policy }: StatusPolicy & { graceSeconds: number },
): UserStatus | null {
  const inGrace = ({ until }: KnownUserStatus) =>
    now < until + graceSeconds && until <= longestUntil(now, policy);
  const counts = [
    told !== null && inGrace(told) && !isOvertaken(told, change) ? told.status : null,
    cached !== null &&
    policy.logsUserChanges &&
    inGrace(cached) &&
    (change === null || agrees(cached, change))
      ? cached.status
      : null,
  ];
  if (counts.includes('disabled')) return 'disabled';
  if (counts.includes('enabled')) return 'enabled';
  return change?.type === 'user_disabled' ? 'disabled' : null;
}

/** Returns the status to cache with a user's entries; undefined for a directory without versions, where it would prove nothing. */
export function knownStatus(
  user: { status: KnownUserStatus['status']; version: number },
  now: number,
  statusTtlSeconds: number,
): KnownUserStatus | undefined {
  if (user.version === 0) return undefined;
  return { status: user.status, version: user.version, until: now + statusTtlSeconds };
}

/** Whether the directory's answer about a user is already cached and has not expired. */
export function isCached(
  user: { status: KnownUserStatus['status']; version: number },
  cached: KnownUserStatus | null,
  now: number,
  policy: Omit<StatusPolicy, 'logsUserChanges'>,
): boolean {
  if (cached === null || !isCurrent(cached, now, policy)) return false;
  return cached.status === user.status && cached.version === user.version;
}

/**
 * Caches a user's status with their entries, so that the next verification need not ask the directory.
 *
 * If the registry has a higher version, it stays at first, because the directory may have been read before a change. The
 * directory is asked again. A version that is still higher than its answer is forged, and is overwritten.
 */
export async function cacheStatus(
  { registry, find }: { registry: Pick<TokenRegistry, 'setUserStatus'>; find: UserDirectory['find'] },
  user: Pick<User, 'sub' | 'status' | 'version'>,
  now: number,
  statusTtlSeconds: number,
): Promise<void> {
  let latest: typeof user | null = user;
  let replaces: number | null = null;
  for (let attempt = 1; attempt <= CACHE_ATTEMPTS && latest !== null; attempt++) {
    const status = knownStatus(latest, now, statusTtlSeconds);
    if (status === undefined) return;
    const above: number | null = await registry.setUserStatus(user.sub, status, now, replaces);
    if (above === null) return;
    replaces = above;
    latest = await find(user.sub);
  }
}

const CACHE_ATTEMPTS = 3;

/** Whether the security log tells of a change that what the directory said does not know of yet. */
export function isOvertaken(said: { version: number } | null, change: UserChange | null): boolean {
  if (change === null) return false;
  return said === null ? change.type !== 'user_removed' : !(said.version >= change.version);
}
