import type { KeyState } from '../model/signing-key.js';
import type { Clock, Database, SecurityEvent, Stores } from '../ports/index.js';
import type { DatabaseHeads, MarkStore, StoredEvent } from '../ports/mark-store.js';
import { JwtctlError } from '../shared/errors.js';
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
  isBehind: boolean;
  database: DatabaseHeads;
  /** Null if Redis has no mark that this keyring can verify. */
  mark: HighWaterMark | null;
  /** Missing from the database, oldest first. */
  events: RecordedEvent[];
  /** Keys whose state differs from the recorded one. */
  keys: Array<KnownKeyState & { now: KeyState | null }>;
  /** Data that cannot be verified: forged, or from a host without a keyring. Never applied. */
  unverified: { mark: boolean; keys: boolean; events: RecordedEvent[]; unreadable: number };
}

interface FoundLosses extends Losses {
  /** The missing events in the form that Redis stores. */
  stored: { authentic: StoredEvent[]; unverified: StoredEvent[] };
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
  const { read, unreadable } = await keptEvents(ports);

  // Reads the database after Redis. Otherwise, an event recorded in between would look lost.
  const heads = await database.heads();
  const isLost = mark !== null && (await isBehind(database, mark));
  const recorded = await identitiesOf(database);
  const now = ports.clock.now();
  const events = new Map<string, RecordedEvent>();
  const unverified = new Map<string, RecordedEvent>();
  const stored: FoundLosses['stored'] = { authentic: [], unverified: [] };
  for (const { one, event, isAuthentic } of read) {
    if (event.expiresAt <= now || recorded.has(identityOf(event))) continue;
    (isAuthentic ? events : unverified).set(identityOf(event), event);
    stored[isAuthentic ? 'authentic' : 'unverified'].push(one);
  }
  for (const name of events.keys()) unverified.delete(name);
  const { keys } = await database.keys.snapshot();
  return {
    isBehind: isLost || events.size > 0,
    database: heads,
    mark,
    events: inOrder(events),
    keys: isLost ? lostStates(known, keys) : [],
    unverified: {
      mark: raw.mark !== null && mark === null,
      keys: raw.keys !== null && keysRead?.isAuthentic !== true,
      events: inOrder(unverified),
      unreadable,
    },
    stored,
  };
}

interface KeptEvent {
  one: StoredEvent;
  event: RecordedEvent;
  isAuthentic: boolean;
}

async function keptEvents({ marks, prefix, macKeys }: RecoveryPorts) {
  const read: KeptEvent[] = [];
  let unreadable = 0;
  for await (const page of marks.events()) {
    for (const one of page) {
      const { text, isAuthentic } = await readAuthenticated(one.text, { prefix, kind: 'event' }, (id) =>
        macKeys.find(id),
      );
      const event = parseEvent(text);
      if (event === null) unreadable += 1;
      else read.push({ one, event, isAuthentic });
    }
  }
  return { read, unreadable };
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
    const reason = `${events.length} events and the states of ${losses.keys.length} keys were missing`;
    await stores.auditLog.append({
      ...{ at, actor, action: 'db.recover', target: `audit row ${heads.audit.seq}`, outcome: how, reason },
    });
  });
  // Re-applied events stay until they expire, because Redis may not have their new records yet.
  if (how === 'accepted') await marks.removeEvents([...losses.stored.authentic, ...losses.stored.unverified]);
}

async function applyAgain(
  { securityLog, users }: Stores,
  events: readonly RecordedEvent[],
  at: number,
): Promise<void> {
  const changes = new Map<string, RecordedEvent>();
  for (const { id: _, ...event } of events) await securityLog.append(event);
  for (const event of events) {
    const { sub, userVersion } = event;
    if (sub === undefined || userVersion === undefined) continue;
    if (userVersion > (changes.get(sub)?.userVersion ?? 0)) changes.set(sub, event);
  }
  for (const [sub, { type, userVersion = 0 }] of changes) {
    const user = await users.find(sub);
    if (user === null || user.version >= userVersion) continue;
    if (type === 'user_removed') {
      await users.remove(sub);
      continue;
    }
    await users.setStatus(sub, type === 'user_disabled' ? 'disabled' : 'enabled', at);
    await users.setVersion([sub], userVersion);
  }
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
  const { type, sub = null, jti = null, kid = null, issuedBefore = null, userVersion = null, at } = event;
  return JSON.stringify([type, sub, jti, kid, issuedBefore, userVersion, at]);
}

function inOrder(events: Map<string, RecordedEvent>): RecordedEvent[] {
  return [...events.values()].sort((a, b) => a.id - b.id);
}
