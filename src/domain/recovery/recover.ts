import type { KeyState } from '../model/signing-key.js';
import type { Clock, Database, SecurityEvent, Stores, User, UserStore } from '../ports/index.js';
import type { DatabaseHeads, MarkStore, StoredEvent } from '../ports/mark-store.js';
import { JwtctlError } from '../shared/errors.js';
import { pluralize } from '../shared/pluralize.js';
import {
  type HighWaterMark,
  isBehind,
  type KnownKeyState,
  parseEvent,
  parseKeyStates,
  parseMark,
  type RecordedEvent,
  readAuthenticated,
} from './high-water-marks.js';
import type { MacKeySource } from './record-marks.js';

export interface RecoveryPorts {
  database: Database;
  marks: MarkStore;
  prefix: string;
  macKeys: MacKeySource;
  clock: Clock;
  actor: string;
}

export interface Losses {
  /** Whether the database lacks changes. */
  isBehind: boolean;
  /** Whether the mark shows it too, so that commands that grant access fail. */
  isBlocked: boolean;
  database: DatabaseHeads;
  /** Null if Redis has no mark that this keyring can verify. */
  mark: HighWaterMark | null;
  /** Missing from the database, oldest first. */
  events: RecordedEvent[];
  /** Missing from the database, but given up by an earlier recovery or older than the user's status. Never applied. */
  outdated: RecordedEvent[];
  /** Keys whose state differs from the recorded one. */
  keys: Array<KnownKeyState & { now: KeyState | null }>;
  /** Data that cannot be verified: forged, or from a host without a keyring. Never applied. */
  unverified: {
    mark: boolean;
    keys: boolean;
    events: RecordedEvent[];
    unreadable: number;
    /** Keys in Redis that hold a foreign value instead of events. */
    foreignKeys: string[];
  };
}

interface FoundLosses extends Losses {
  /** The missing events in the form that Redis stores, including outdated and unverified ones. */
  stored: StoredEvent[];
}

const PAGE = 5_000;

export async function findLosses(ports: RecoveryPorts): Promise<FoundLosses> {
  const { database, marks, prefix, macKeys } = ports;
  if ((await macKeys.current()) === null) throw withoutKeyring();
  const findKey = (id: string) => macKeys.find(id);
  const raw = await marks.read();
  const reading = async (stored: string | null, kind: 'mark' | 'keys') =>
    stored === null ? null : readAuthenticated(stored, { prefix, kind }, findKey);
  const [markRead, keysRead] = [await reading(raw.mark, 'mark'), await reading(raw.keys, 'keys')];
  const mark = markRead?.isAuthentic ? parseMark(markRead.text) : null;
  const known = keysRead?.isAuthentic ? parseKeyStates(keysRead.text) : [];
  const { read, unreadable, foreignKeys } = await keptEvents(ports);

  // Reads the database after Redis. Otherwise, an event recorded in between would look lost.
  const heads = await database.heads();
  const isLost = mark !== null && (await isBehind(database, mark));
  const recorded = await identitiesOf(database);
  const now = ports.clock.now();
  const missing = read.filter(({ event }) => event.expiresAt > now && !recorded.has(identityOf(event)));
  const users = await usersOf(
    database.users,
    missing.map(({ event }) => event),
  );
  const events = new Map<string, RecordedEvent>();
  const outdated = new Map<string, RecordedEvent>();
  const unverified = new Map<string, RecordedEvent>();
  for (const { event, isAuthentic } of missing) {
    const isOld = isGivenUp(event, heads, mark) || isOvertaken(event, users);
    const found = isOld ? outdated : events;
    (isAuthentic ? found : unverified).set(identityOf(event), event);
  }
  for (const name of events.keys()) outdated.delete(name);
  for (const name of [...events.keys(), ...outdated.keys()]) unverified.delete(name);
  const { keys } = await database.keys.snapshot();
  return {
    isBehind: isLost || events.size > 0,
    isBlocked: isLost,
    database: heads,
    mark,
    events: inOrder(events),
    outdated: inOrder(outdated),
    keys: isLost ? lostStates(known, keys) : [],
    unverified: {
      mark: raw.mark !== null && mark === null,
      keys: raw.keys !== null && keysRead?.isAuthentic !== true,
      events: inOrder(unverified),
      unreadable,
      foreignKeys,
    },
    stored: missing.map(({ one }) => one),
  };
}

/**
 * Returns whether an earlier recovery decided about the event. Any client can put it back into Redis.
 *
 * A database from before the recovery in the mark may lack older revocations that were never given up. So only
 * an event that grants access is too old for it.
 */
function isGivenUp(
  { type, recoveredAt }: RecordedEvent,
  heads: DatabaseHeads,
  mark: HighWaterMark | null,
): boolean {
  if (recoveredAt < heads.recoveredAt) return true;
  return type === 'user_enabled' && recoveredAt < (mark?.recoveredAt ?? 0);
}

/** Returns whether the user has changed since. Versions restart after a restore, so the time counts too. */
function isOvertaken({ type, sub, userVersion, at }: RecordedEvent, users: Map<string, User>): boolean {
  const user = sub === undefined ? undefined : users.get(sub);
  if (user === undefined || userVersion === undefined) return false;
  if (user.version >= userVersion) return true;
  return type === 'user_enabled' && user.status === 'disabled' && (user.updatedAt ?? 0) >= at;
}

function usersOf(users: UserStore, events: readonly RecordedEvent[]): Promise<Map<string, User>> {
  const subs = events.flatMap(({ sub, userVersion }) =>
    sub === undefined || userVersion === undefined ? [] : [sub],
  );
  return users.findMany([...new Set(subs)]);
}

interface KeptEvent {
  one: StoredEvent;
  event: RecordedEvent;
  isAuthentic: boolean;
}

async function keptEvents({ marks, prefix, macKeys }: RecoveryPorts) {
  const read: KeptEvent[] = [];
  const foreignKeys: string[] = [];
  let unreadable = 0;
  for await (const { key, events } of marks.events()) {
    if (events === null) foreignKeys.push(key);
    for (const one of events ?? []) {
      const { text, isAuthentic } = await readAuthenticated(one.text, { prefix, kind: 'event' }, (id) =>
        macKeys.find(id),
      );
      const event = parseEvent(text);
      if (event === null) unreadable += 1;
      else read.push({ one, event, isAuthentic });
    }
  }
  return { read, unreadable, foreignKeys };
}

function withoutKeyring(): JwtctlError {
  return new JwtctlError(
    'ERR_MASTER_KEY_MISSING',
    'The marks and events in Redis cannot be verified: this host has no master keyring.',
    {
      hint: 'Run this command on a host that has the keyring, or set masterKey.file (JWTCTL_MASTER_KEY_FILE) to a copy.',
    },
  );
}

function lostStates(known: readonly KnownKeyState[], keys: readonly KnownKeyState[]): Losses['keys'] {
  const states = new Map(keys.map(({ kid, state }) => [kid, state]));
  return known.flatMap(({ kid, state }) => {
    const now = states.get(kid) ?? null;
    return now === state ? [] : [{ kid, state, now }];
  });
}

/** Returns the kids of keys whose compromise was lost, to compromise them again. */
export function lostCompromises({ events, keys }: Pick<Losses, 'events' | 'keys'>): string[] {
  const kids = [
    ...events.flatMap(({ type, kid }) => (type === 'key_compromised' && kid !== undefined ? [kid] : [])),
    ...keys.flatMap(({ kid, state }) => (state === 'compromised' ? [kid] : [])),
  ];
  return [...new Set(kids)];
}

/**
 * Records the lost changes again, or accepts the older state, in one transaction. Then verifiers rely on the
 * database again. A re-applied compromise only makes verifiers refuse the key: `compromiseKey` does the rest.
 * @throws JwtctlError `ERR_RECOVERY_CONFLICT` (state) if another process has recovered the database since
 */
export async function settle(
  ports: RecoveryPorts,
  losses: FoundLosses,
  how: 'reapplied' | 'accepted',
): Promise<void> {
  const { database, marks, clock, actor } = ports;
  const { events, mark } = losses;
  await database.transaction(async (stores) => {
    const at = clock.now();
    const heads = await stores.heads();
    const isFirst = await stores.keys.recover({
      since: losses.database.recoveredAt,
      recoveredAt: Math.max(at, heads.recoveredAt + 1, (mark?.recoveredAt ?? 0) + 1),
      revision: Math.max(heads.revision, mark?.revision ?? 0) + 1,
    });
    if (!isFirst) {
      throw new JwtctlError(
        'ERR_RECOVERY_CONFLICT',
        'Another process has just recovered the database. Nothing was changed.',
      );
    }
    if (how === 'reapplied') await applyAgain(stores, events, at);
    const reason = `${pluralize(events.length, 'event')} and the states of ${pluralize(losses.keys.length, 'key')} were missing`;
    await stores.auditLog.append({
      ...{ at, actor, action: 'db.recover', target: `audit row ${heads.audit.seq}`, outcome: how, reason },
    });
  });
  // Re-applied events stay until they expire, because Redis may not have their new records yet.
  if (how === 'accepted') await marks.removeEvents(losses.stored);
}

async function applyAgain(
  { securityLog, users }: Stores,
  missing: readonly RecordedEvent[],
  at: number,
): Promise<void> {
  const found = await usersOf(users, missing);
  // Someone may have changed a user since the search.
  const events = missing.filter((event) => !isOvertaken(event, found));
  for (const { id: _, recoveredAt: __, ...event } of events) await securityLog.append(event);
  const changes = new Map<string, RecordedEvent>();
  for (const event of events) {
    const { sub, userVersion } = event;
    if (sub === undefined || userVersion === undefined) continue;
    if (isLater(event, changes.get(sub))) changes.set(sub, event);
  }
  for (const [sub, event] of changes) {
    const user = found.get(sub);
    if (user === undefined) continue;
    const { type, userVersion = 0 } = event;
    if (type === 'user_removed') {
      await users.remove(sub);
      continue;
    }
    const status = type === 'user_disabled' ? 'disabled' : 'enabled';
    const disabledUntil = endOfBan(event, user);
    await users.restoreStatus(sub, { status, disabledUntil, version: userVersion }, at);
  }
}

/** Returns the end of the lost ban. A ban since then, by someone who saw the older state, is not shortened. */
function endOfBan(
  { at, disabledUntil }: RecordedEvent,
  { status, updatedAt, ...now }: User,
): number | undefined {
  if (status !== 'disabled' || (updatedAt ?? 0) < at) return disabledUntil;
  const ends = [disabledUntil, now.disabledUntil];
  return ends.includes(undefined) ? undefined : Math.max(...(ends as number[]));
}

/** Two histories of a database may have used the same version. Then the change that takes access away counts. */
function isLater({ type, userVersion = 0 }: RecordedEvent, other: RecordedEvent | undefined): boolean {
  const known = other?.userVersion ?? 0;
  return userVersion > known || (userVersion === known && type !== 'user_enabled');
}

async function identitiesOf(database: Database): Promise<Set<string>> {
  const found = new Set<string>();
  for (let after = 0; ; ) {
    const page = await database.securityLog.listAfter(after, PAGE);
    for (const event of page) found.add(identityOf(event));
    if (page.length < PAGE) return found;
    after = page.at(-1)?.id ?? after;
  }
}

/** Ignores the id, which changes when an event is recorded again. */
function identityOf(event: RecordedEvent | SecurityEvent): string {
  const { type, sub = null, jti = null, kid = null, issuedBefore = null, userVersion = null } = event;
  const { except = null, at } = event;
  return JSON.stringify([type, sub, jti, kid, issuedBefore, userVersion, except, at]);
}

function inOrder(events: Map<string, RecordedEvent>): RecordedEvent[] {
  return [...events.values()].sort((a, b) => a.id - b.id);
}
