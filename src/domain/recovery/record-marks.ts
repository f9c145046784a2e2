import type { AuditLog, Database, KeyStore, MacKey, SecurityLog, Stores } from '../ports/index.js';
import type { DatabaseHeads, MarkStore } from '../ports/mark-store.js';
import {
  authenticated,
  eventText,
  type HighWaterMark,
  higherMark,
  isBehind,
  type KnownKeyState,
  keyStatesText,
  markText,
  parseMark,
  type RecordedEvent,
  readAuthenticated,
  textOf,
} from './high-water-marks.js';

const ATTEMPTS = 8;

export interface MarkRecordingPorts {
  database: Database;
  marks: MarkStore;
  prefix: string;
  macKeys: MacKeySource;
}

export interface MacKeySource {
  /** Null on a host without a keyring. */
  current(): Promise<MacKey | null>;
  find(id: string): Promise<MacKey | null>;
}

export interface Written {
  heads: DatabaseHeads;
  events: RecordedEvent[];
  keys: KnownKeyState[] | null;
}

/** Calls `onWritten` after each transaction that changed keys, appended to the security log, or pruned the audit log. */
export function markedDatabase(database: Database, onWritten: (written: Written) => void): Database {
  return {
    ...database,
    transaction: async (work) => {
      const { result, written } = await database.transaction(async (stores) => {
        const events: AppendedEvent[] = [];
        let isKeyChanged = false;
        const keys = overlaid<KeyStore>(stores.keys, KEY_WRITES, () => {
          isKeyChanged = true;
        });
        const securityLog = overlaid<SecurityLog>(stores.securityLog, ['append'], (id, [event]) =>
          events.push({ ...event, id }),
        );
        let isPruned = false;
        const auditLog = overlaid<AuditLog>(stores.auditLog, ['removeUpTo'], () => {
          isPruned = true;
        });
        const found = await work({ ...stores, keys, securityLog, auditLog });
        return { result: found, written: await writtenBy(stores, events, { isKeyChanged, isPruned }) };
      });
      if (written !== null) onWritten(written);
      return result;
    },
  };
}

type AppendedEvent = Omit<RecordedEvent, 'recoveredAt'>;

const KEY_WRITES = ['insert', 'apply', 'raiseMaxTtl', 'removeRetired', 'recover'] as const;

/** Reads inside the transaction, so that all values are consistent. */
async function writtenBy(
  stores: Stores,
  appended: readonly AppendedEvent[],
  { isKeyChanged, isPruned }: { isKeyChanged: boolean; isPruned: boolean },
): Promise<Written | null> {
  if (appended.length === 0 && !isKeyChanged && !isPruned) return null;
  const heads = await stores.heads();
  const events = appended.map((event) => ({ ...event, recoveredAt: heads.recoveredAt }));
  if (!isKeyChanged) return { heads, events, keys: null };
  const { keys } = await stores.keys.snapshot(() => {});
  return { heads, events, keys: keys.map(({ kid, state }) => ({ kid, state })) };
}

function overlaid<Store extends object>(
  store: Store,
  names: ReadonlyArray<keyof Store>,
  // biome-ignore lint/suspicious/noExplicitAny: the result and arguments of any of these methods
  onCalled: (result: any, args: any[]) => void,
): Store {
  return new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      if (!names.includes(name as keyof Store)) return member.bind(target);
      return async (...args: unknown[]) => {
        const result = await member.apply(target, args);
        if (result !== false) onCalled(result, args);
        return result;
      };
    },
  });
}

/**
 * A database that is behind the marks does not update them, because that would hide that it is behind.
 *
 * @returns the keys in Redis that hold a foreign value, so that an event could not be added
 */
export async function recordMarks(ports: MarkRecordingPorts, written: Written): Promise<string[]> {
  const { marks, prefix, macKeys } = ports;
  const key = await macKeys.current();
  const foreignKeys = await marks.addEvents(
    written.events.map((event) => ({
      id: event.id,
      expiresAt: event.expiresAt,
      text: authenticated(eventText(event), { prefix, kind: 'event' }, key),
    })),
  );
  const last = written.events.at(-1);
  const lastEvent = last === undefined ? null : { id: last.id, expiresAt: last.expiresAt };
  const reached: HighWaterMark = { ...written.heads, lastEvent };
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    if (await raise(ports, key, reached, written.keys)) break;
  }
  return foreignKeys;
}

/** @returns false if another process wrote a mark meanwhile */
async function raise(
  { database, marks, prefix, macKeys }: MarkRecordingPorts,
  key: MacKey | null,
  reached: HighWaterMark,
  keys: KnownKeyState[] | null,
): Promise<boolean> {
  const field = key === null ? 'hint' : 'mark';
  const stored = (await marks.read())[field];
  const origin = { prefix, kind: 'mark' } as const;
  const isBelieved =
    stored !== null &&
    (key === null || (await readAuthenticated(stored, origin, (id) => macKeys.find(id))).isAuthentic);
  const before = isBelieved ? parseMark(textOf(stored)) : null;
  if (key !== null && before !== null && (await isBehind(database, before))) return true;
  const next = higherMark(before, reached) ?? reached;
  const text = markText(next);
  if (before !== null && text === markText(before) && keys === null) return true;
  const isLatest = next.revision === reached.revision && next.recoveredAt === reached.recoveredAt;
  return marks.replace(field, stored, {
    [field]: authenticated(text, origin, key),
    // The new mark includes the change that the hint announced.
    ...(key === null ? {} : { hint: '' }),
    ...(keys !== null && key !== null && isLatest
      ? { keys: authenticated(keyStatesText(keys), { prefix, kind: 'keys' }, key) }
      : {}),
  });
}
