import type { EventPolicy } from '../model/lifetime.js';
import type { Administration, SecurityEventType, Stores, User, UserStatus } from '../ports/index.js';
import { countSubjectTokens } from '../registry/count-subject.js';
import { EntriesAhead } from '../registry/entries-ahead.js';
import { cacheStatus } from '../security-log/cached-user-status.js';
import { nameTokens } from '../security-log/name-tokens.js';
import { afterRecord, eventExpiry, latestIssued } from '../security-log/record.js';
import { CENTURY_SECONDS } from '../shared/duration.js';
import { JwtctlError } from '../shared/errors.js';
import { flagArgument } from '../shared/text.js';
import { ifReachable } from '../shared/unavailable.js';

export interface UserAdministrationPolicy extends EventPolicy {
  statusTtlSeconds: number;
}

/** @throws JwtctlError `ERR_USER_EXISTS` (state) */
export async function addUser(
  ports: Pick<Administration, 'database' | 'clock' | 'actor'>,
  input: { sub: string; name: string | null; dryRun: boolean },
): Promise<User> {
  const { database, clock, actor } = ports;
  if (input.dryRun) {
    if ((await database.users.find(input.sub)) !== null) throw userExists(input.sub);
    const at = clock.now();
    return { sub: input.sub, name: input.name, status: 'enabled', version: 0, createdAt: at, updatedAt: at };
  }
  return database.transaction(async (stores) => {
    const at = clock.now();
    const user = await stores.users.add({ sub: input.sub, name: input.name, at });
    if (user === null) throw userExists(input.sub);
    // Continues the versions of a removed user with the same name, so that a cached status of that user is
    // older. Reads them after the insert, which waits for a running removal.
    const known = (await stores.securityLog.highestUserVersions([input.sub])).get(input.sub) ?? 0;
    const version = known + 1;
    if (version !== user.version) await stores.users.setVersion([input.sub], version);
    const row = { at, actor, action: 'users.add', target: input.sub, outcome: 'done', reason: null };
    await stores.auditLog.append(row);
    return { ...user, version };
  });
}

/** Adds the user if missing. Another run may add the same user at the same time. */
export async function ensureUser(
  ports: Pick<Administration, 'database' | 'clock' | 'actor'>,
  sub: string,
  name: string | null = null,
): Promise<{ isNew: boolean }> {
  if ((await ports.database.users.find(sub)) !== null) return { isNew: false };
  try {
    await addUser(ports, { sub, name, dryRun: false });
    return { isNew: true };
  } catch (error) {
    if (!(error instanceof JwtctlError) || error.code !== 'ERR_USER_EXISTS') throw error;
    return { isNew: false };
  }
}

/** @throws JwtctlError `ERR_USER_UNKNOWN` (not_found) */
export async function renameUser(
  ports: Pick<Administration, 'database' | 'clock' | 'actor'>,
  { sub, name }: { sub: string; name: string | null },
): Promise<User> {
  const { database, clock, actor } = ports;
  return database.transaction(async (stores) => {
    const at = clock.now();
    const { user, changed } = found(await stores.users.setName(sub, name, at), sub);
    const row = { at, actor, action: 'users.rename', target: sub, outcome: 'done', reason: null };
    if (changed) await stores.auditLog.append(row);
    return user;
  });
}

export interface StatusChange {
  user: User;
  /** The event that set this status; null for a dry run, or if it has expired. */
  eventId: number | null;
}

export interface UserStatusInput {
  sub: string;
  status: UserStatus;
  /** For `disabled`: after this time, the user is enabled again by itself. */
  forSeconds?: number | undefined;
  reason: string | null;
  dryRun: boolean;
}

/**
 * Sets the status. If the user already has it, or is disabled for longer, updates only the registry.
 * @throws JwtctlError `ERR_USER_UNKNOWN` (not_found); `ERR_DURATION_INVALID` (usage)
 */
export async function setUserStatus(
  ports: Administration,
  policy: UserAdministrationPolicy,
  input: UserStatusInput,
): Promise<StatusChange> {
  const { database, registry, clock } = ports;
  const { sub, status, forSeconds, reason } = input;
  if (forSeconds !== undefined && forSeconds > CENTURY_SECONDS) {
    throw new JwtctlError('ERR_DURATION_INVALID', 'A user can be disabled for at most 100 years.', {
      hint: 'To disable the user until further notice, give no duration.',
      details: { field: 'for' },
    });
  }
  const disabledUntil = (at: number) => (forSeconds === undefined ? undefined : at + forSeconds);
  if (input.dryRun) {
    const user = found(await database.users.find(sub), sub);
    return { user: { ...user, status, disabledUntil: disabledUntil(clock.now()) }, eventId: null };
  }

  const outcome = await database.transaction(async (stores) => {
    const at = clock.now();
    const change = found(await stores.users.setStatus(sub, status, at, disabledUntil(at)), sub);
    const { user } = change;
    const type: SecurityEventType = status === 'disabled' ? 'user_disabled' : 'user_enabled';
    if (!change.changed) return { user, eventId: await lastEventId(stores, sub, type) };
    const expiry = eventExpiry(await stores.keys.longestLifetimes(), policy, at);
    const { version: userVersion, disabledUntil: until } = user;
    const event = { type, sub, userVersion, disabledUntil: until, reason, at, ...expiry };
    const eventId = await stores.securityLog.append(event);
    const action = status === 'disabled' ? 'users.disable' : 'users.enable';
    const target = until === undefined ? sub : `${sub} until ${until}`;
    const details = { sub, disabledUntil: until };
    await stores.auditLog.append({
      ...{ at, actor: ports.actor, action, target, outcome: 'done', reason, details },
    });
    return { user, eventId };
  });
  const find = (name: string) => database.users.find(name);
  await afterRecord(async () => {
    await cacheStatus({ registry, find }, outcome.user, clock.now(), policy.statusTtlSeconds);
    // The event ends the sessions that began before. Another may begin once the user is enabled.
    if (status === 'disabled') await registry.remove(sub, { familiesOnly: true }, clock.now());
  });
  return outcome;
}

async function lastEventId(stores: Stores, sub: string, type: SecurityEventType): Promise<number | null> {
  const events = await stores.securityLog.findNaming([{ sub, jti: null }]);
  return events.filter((event) => event.type === type).at(-1)?.id ?? null;
}

export interface UserRemoval {
  user: User;
  /** The number of removed entries. For a dry run, entries that would be removed. */
  revoked: number;
  /** The event that ends the user's tokens; null for a dry run. */
  eventId: number | null;
}

/** Removes the user and revokes their tokens, so that a later user with the same name inherits none. */
export async function removeUser(
  ports: Administration,
  policy: UserAdministrationPolicy,
  input: { sub: string; reason: string | null; dryRun: boolean },
): Promise<UserRemoval> {
  const { database, registry, clock, actor } = ports;
  const { sub, reason } = input;
  const ahead = new EntriesAhead(latestIssued(clock.now(), policy, null));
  const count = () => countSubjectTokens(registry, sub, clock.now(), undefined, ahead);
  if (input.dryRun) {
    const user = found(await database.users.find(sub), sub);
    return { user, revoked: (await count()).count, eventId: null };
  }
  const latestIat = latestIssued(clock.now(), policy, await ifReachable(count, null));

  const { user, eventId } = await database.transaction(async (stores) => {
    const at = clock.now();
    const removed = found(await stores.users.remove(sub), sub);
    const issuedBefore = Math.max(at, latestIat);
    const longest = await stores.keys.longestLifetimes();
    const expiry = eventExpiry(longest, policy, issuedBefore);
    const userVersion = removed.version + 1;
    await stores.securityLog.append({ type: 'user_removed', sub, userVersion, reason, at, ...expiry });
    await nameTokens(stores, policy, ahead.nearest(), { longest, reason, at });
    // The last of the events. They become visible together, and are read in the order of their ids.
    const eventId = await stores.securityLog.append({
      type: 'subject_revoked',
      ...{ sub, issuedBefore, reason, at, ...expiry },
    });
    await stores.auditLog.append({ at, actor, action: 'users.remove', target: sub, outcome: 'done', reason });
    return { user: removed, eventId };
  });
  const { removed: revoked } = await afterRecord(() => registry.remove(sub, {}, clock.now()), {
    hint: `To complete the change, run \`jwtctl token revoke ${flagArgument('sub', sub)} --all\` when the registry responds.`,
  });
  return { user, revoked, eventId };
}

/** @throws JwtctlError `ERR_USER_UNKNOWN` (not_found) */
export function found<T>(user: T | null, sub: string): T {
  if (user === null) throw new JwtctlError('ERR_USER_UNKNOWN', `There is no user ${JSON.stringify(sub)}.`);
  return user;
}

function userExists(sub: string): JwtctlError {
  return new JwtctlError('ERR_USER_EXISTS', `User ${JSON.stringify(sub)} already exists.`);
}
