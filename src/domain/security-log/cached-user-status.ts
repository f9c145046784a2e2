import type { KnownUserStatus, User, UserDirectory, UserStatus, UserStatusCache } from '../ports/index.js';
import type { RevocationIndex, UserChange } from './revocation-index.js';

export interface StatusPolicy {
  /** How long a user's status is used before the directory is asked again, in seconds. */
  statusTtlSeconds: number;
  clockToleranceSeconds: number;
  /** Whether the security log records every user change: true only with `users.source: managed`. */
  logsUserChanges: boolean;
}

/**
 * Returns the status that a cached entry proves; null if the directory must be asked. Any client of Redis can
 * forge a cached status, so it counts only if it cannot undo a change:
 * - If the security log has a change of the user, the cached status must have its result and version.
 * - If it has none, the user was never disabled while any token lived, so only "enabled" counts.
 * - If the log does not record the directory's changes, a cached status proves nothing.
 * @returns a status with the version of `change`, or version 0 without one; any later change ends it
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

/** Returns whether the last answer has not expired and nothing has a later version. */
export function isAnswerValid(
  answer: KnownUserStatus,
  { cached, change }: { cached: KnownUserStatus | null; change: UserChange | null },
  now: number,
  policy: StatusPolicy,
): boolean {
  if (!isCurrent(answer, now, policy)) return false;
  if (isOutdated(answer, change)) return false;
  return !policy.logsUserChanges || cached === null || cached.version <= answer.version;
}

/** A status that lasts longer than possible comes from a wrong clock and does not count. */
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
  user_refreshed: null,
} as const;

/**
 * Returns the status to use while the directory does not answer, null for none: its last answer, or a cached
 * status that contradicts no known change, for `graceSeconds` after it expired. "disabled" wins.
 */
export function statusMeanwhile(
  {
    answer,
    cached,
    change,
  }: { answer: KnownUserStatus | null; cached: KnownUserStatus | null; change: UserChange | null },
  now: number,
  { graceSeconds, ...policy }: StatusPolicy & { graceSeconds: number },
): UserStatus | null {
  const inGrace = ({ until }: KnownUserStatus) =>
    now < until + graceSeconds && until <= longestUntil(now, policy);
  const counts = [
    answer !== null && inGrace(answer) && !isOutdated(answer, change) ? answer.status : null,
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

/**
 * Returns until when a status that was just read may be used. A ban may end sooner. Use the status for at least 1 s,
 * because the directory ends a ban later than this host's clock.
 */
export function usableUntil(
  { disabledUntil }: Pick<User, 'disabledUntil'>,
  now: number,
  statusTtlSeconds: number,
): number {
  const end = disabledUntil === undefined ? Number.POSITIVE_INFINITY : Math.max(disabledUntil, now + 1);
  return Math.min(now + statusTtlSeconds, end);
}

/** Returns the status to cache; undefined for a directory without versions, where it would prove nothing. */
export function knownStatus(
  user: Pick<User, 'status' | 'version' | 'disabledUntil'>,
  now: number,
  statusTtlSeconds: number,
): KnownUserStatus | undefined {
  if (user.version === 0) return undefined;
  const until = usableUntil(user, now, statusTtlSeconds);
  return { status: user.status, version: user.version, until };
}

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
 * Caches a user's status, so that the next verification need not ask the directory. A higher version stays at
 * first, because the directory may have been read before a change, and is asked again. If the version is
 * still higher than the answer, it is forged and is overwritten.
 */
export async function cacheStatus(
  { registry, find }: { registry: UserStatusCache; find: UserDirectory['find'] },
  user: Pick<User, 'sub' | 'status' | 'version' | 'disabledUntil'>,
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

export function isOutdated(answer: { version: number } | null, change: UserChange | null): boolean {
  if (change === null) return false;
  if (answer !== null) return !(answer.version >= change.version);
  return change.type !== 'user_removed' && change.type !== 'user_refreshed';
}

/**
 * Returns the change that an answer of the directory must include. For a table of another program, that is the last
 * request to read it again, and the version of an answer is the last such request before it.
 */
export function changeToInclude(
  events: RevocationIndex,
  sub: string,
  { logsUserChanges }: Pick<StatusPolicy, 'logsUserChanges'>,
): UserChange | null {
  if (logsUserChanges) return events.changeOf(sub);
  const version = events.refreshOf(sub);
  return version === 0 ? null : { type: 'user_refreshed', version };
}
