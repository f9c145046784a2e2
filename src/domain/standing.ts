import { EventMemory, type UserChange } from './event-memory.js';
import type {
  Clock,
  KnownUserStatus,
  SecurityEvent,
  SecurityLog,
  TokenRegistry,
  User,
  UserDirectory,
  UserStatus,
} from './ports.js';
import { ifReachable } from './reachability.js';
import type { Standing } from './verification.js';

export interface StandingPorts extends StatusPolicy {
  registry: TokenRegistry;
  securityLog: SecurityLog;
  users: UserDirectory;
  clock: Clock;
}

export interface StatusPolicy {
  /** How long a user's status may be used before the directory is asked again, in seconds. */
  statusTtlSeconds: number;
  /** How far apart the clocks of two hosts may be, in seconds. */
  clockToleranceSeconds: number;
  /** Whether every change of a user is an event of the security log: with `users.source: managed` alone. */
  logsUserChanges: boolean;
}

/**
 * Where a token stands: its entry, whether an event of the security log covers it, and its user's status.
 *
 * The registry answers for entry and status in one read. The directory is asked where the status proves nothing: see
 * {@link provenStatus}.
 */
export async function findStanding(
  ports: StandingPorts,
  token: { sub: string; jti: string; kid: string; keyId: number; iat: number },
): Promise<Standing> {
  const now = ports.clock.now();
  const [registered, concerning] = await Promise.all([
    ports.registry.standing(token.sub, token, now),
    ports.securityLog.findConcerning(token),
  ]);
  const events = new EventMemory(concerning);
  const proven = provenStatus(registered.user, events.changeOf(token.sub), now, ports);
  return {
    entry: registered.exp === null ? null : { kid: token.kid, iat: token.iat, exp: registered.exp },
    revoked: events.covers(token),
    user: proven?.status ?? (await askDirectory(ports, token.sub, registered.user, now)),
  };
}

/** Whether an event of the security log ends this token. */
export function covers(
  event: SecurityEvent,
  token: { sub: string; jti: string; kid: string; iat: number },
): boolean {
  return new EventMemory([event]).covers(token);
}

/**
 * What a status that is cached in the registry proves; null where the directory has to be asked.
 *
 * Whoever can write to Redis can write anything there, so a cached status counts only where it can undo nothing. Where the
 * security log has a change of the user, that is the status which this very change gave, by its version. Where the log has
 * none, the user was not disabled for as long as any of their tokens lives, so "enabled" is right. A directory whose changes
 * are not in the log proves nothing.
 *
 * @returns a status whose version is the one of `change`, or 0 without a change: any later change ends it
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
 * Whether what the directory told this process itself may be used again: not once its time is over, and not where the
 * security log or the registry knows of a later version.
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

/** A status may be used until its time is over. One that is to last longer than any can: a clock was ahead, or is behind. */
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

const STATUS_AFTER = { user_enabled: 'enabled', user_disabled: 'disabled', user_removed: null } as const;

/**
 * What may be said of a user while the directory does not answer: what it told, or what is cached and contradicts nothing
 * that is known, until `graceSeconds` after its time. Of two that differ it is "disabled". Null where nothing may be said.
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

/** What to cache of a user beside their entries; nothing of a directory without versions, whose status proves nothing there. */
export function knownStatus(
  user: { status: KnownUserStatus['status']; version: number },
  now: number,
  statusTtlSeconds: number,
): KnownUserStatus | undefined {
  if (user.version === 0) return undefined;
  return { status: user.status, version: user.version, until: now + statusTtlSeconds };
}

/** Whether a user of whom the directory was asked is cached already as it answered, and for long enough. */
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
 * Caches a user's status beside their entries, so that the next one need not ask the directory.
 *
 * A version in the registry that is above this one stays at first: the directory may have been read before a change. It is
 * asked again, and a version that is still above its answer belongs to no change, and is overwritten.
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

/** A registry that takes no writes now has given its answer all the same. */
async function askDirectory(
  ports: StandingPorts,
  sub: string,
  cached: KnownUserStatus | null,
  now: number,
): Promise<Standing['user']> {
  const { registry, users, statusTtlSeconds } = ports;
  const user = await users.find(sub);
  if (user === null) return 'unknown';
  if (!isCached(user, cached, now, ports)) {
    const find = (name: string) => users.find(name);
    await ifReachable(() => cacheStatus({ registry, find }, user, now, statusTtlSeconds), undefined);
  }
  return user.status;
}
