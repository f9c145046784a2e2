import { EventMemory, type UserChange } from './event-memory.js';
import type {
  Clock,
  KnownUserStatus,
  SecurityEvent,
  SecurityLog,
  TokenRegistry,
  UserDirectory,
  UserStatus,
} from './ports.js';
import { ifReachable } from './reachability.js';
import type { Standing } from './verification.js';

export interface StandingPorts {
  registry: TokenRegistry;
  securityLog: SecurityLog;
  users: UserDirectory;
  clock: Clock;
  /** How long a user's status may be used before the directory is asked again, in seconds. */
  statusTtlSeconds: number;
  /** How far apart the clocks of two hosts may be, in seconds. */
  clockToleranceSeconds: number;
}

/**
 * Where a token stands: its entry, whether an event of the security log covers it, and its user's status.
 *
 * The registry answers for entry and status in one read. The directory is asked where that says nothing of the user that
 * may be used: the rule of a verifier that runs for long, too ({@link usableStatus}).
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
  const known = believedStatus(registered.user, now, ports);
  return {
    entry: registered.exp === null ? null : { kid: token.kid, iat: token.iat, exp: registered.exp },
    revoked: events.covers(token),
    user:
      usableStatus(known, events.changeOf(token.sub), now) ??
      (await askDirectory(ports, token.sub, known, now)),
  };
}

/** Whether an event of the security log ends this token. */
export function covers(
  event: SecurityEvent,
  token: { sub: string; jti: string; kid: string; iat: number },
): boolean {
  return new EventMemory([event]).covers(token);
}

/** A status as it was found noted; null for one that is to hold for longer than can be: the clock of whoever noted it was ahead. */
export function believedStatus(
  noted: KnownUserStatus | null,
  now: number,
  policy: { statusTtlSeconds: number; clockToleranceSeconds: number },
): KnownUserStatus | null {
  const longestSeconds = policy.statusTtlSeconds + policy.clockToleranceSeconds;
  return noted !== null && noted.until > now + longestSeconds ? null : noted;
}

/**
 * What a status that is noted beside the entries comes to at `now`; null where the directory has to be asked: nothing is
 * noted, its time is over, or the security log tells of a later change (a registry that lost a write in a failover may
 * still call a user enabled).
 */
export function usableStatus(
  noted: KnownUserStatus | null,
  change: UserChange | null,
  now: number,
): UserStatus | null {
  if (noted === null || noted.until <= now) return null;
  return change !== null && change.version > noted.version ? null : noted.status;
}

/**
 * What may be said of a user while the directory does not answer: what was noted of them until `graceSeconds` after its
 * time, and that they are disabled where that was the last thing heard. Null where nothing may.
 */
export function statusMeanwhile(
  noted: KnownUserStatus | null,
  change: UserChange | null,
  now: number,
  graceSeconds: number,
): UserStatus | null {
  const isOutdated = change !== null && change.version > (noted?.version ?? -1);
  if (isOutdated) return change.type === 'user_disabled' ? 'disabled' : null;
  return noted !== null && now < noted.until + graceSeconds ? noted.status : null;
}

/** What to note of a user beside their entries. A source without versions is trusted for `statusTtlSeconds` like any other. */
export function knownStatus(
  user: { status: KnownUserStatus['status']; version: number },
  now: number,
  statusTtlSeconds: number,
): KnownUserStatus {
  return { status: user.status, version: user.version, until: now + statusTtlSeconds };
}

/**
 * What to note beside the entries of a user whom the directory was asked for, so that the next one need not ask: also that
 * the same holds by a later version, or for longer. Null where all of it is noted.
 */
export function statusToNote(
  user: { status: KnownUserStatus['status']; version: number },
  noted: KnownUserStatus | null,
  now: number,
  statusTtlSeconds: number,
): KnownUserStatus | null {
  const isNoted =
    noted !== null && noted.until > now && noted.status === user.status && noted.version === user.version;
  return isNoted ? null : knownStatus(user, now, statusTtlSeconds);
}

/** Whether the security log tells of a change that what the directory said does not know of yet. */
export function isOvertaken(said: { version: number } | null, change: UserChange | null): boolean {
  if (change === null) return false;
  return said === null ? change.type !== 'user_removed' : change.version > said.version;
}

/** A registry that takes no writes now has given its answer all the same. */
async function askDirectory(
  ports: StandingPorts,
  sub: string,
  known: KnownUserStatus | null,
  now: number,
): Promise<Standing['user']> {
  const user = await ports.users.find(sub);
  if (user === null) return 'unknown';
  const status = statusToNote(user, known, now, ports.statusTtlSeconds);
  if (status !== null) await ifReachable(() => ports.registry.setUserStatus(sub, status, now), undefined);
  return user.status;
}
