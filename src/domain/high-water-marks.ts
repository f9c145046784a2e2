import { createHmac, timingSafeEqual } from 'node:crypto';
import type { AuditHead, Database, MacKey, NewSecurityEvent } from './ports.js';
import { KEY_STATES, type KeyState } from './signing-key.js';

/**
 * High-water marks: how far the database had come, as Redis remembers it. A database that came back from a backup lacks
 * what was written since, and nothing in it says so; the marks do.
 *
 * Whoever can write to Redis can write marks. So each carries a MAC under a key of the master keyring, and what does not
 * verify is at most a hint.
 */
export interface MarkStore {
  /** Each as it stands there; null where nothing does. One command. @throws JwtctlError kind `unavailable` */
  read(): Promise<StoredMarks>;
  /** Writes these fields, if `field` still holds `expected`; else writes nothing and returns false. */
  replace(
    field: MarkField,
    expected: string | null,
    written: Partial<Record<MarkField, string>>,
  ): Promise<boolean>;
  /** Keeps events until they expire. */
  addEvents(events: ReadonlyArray<{ id: number; expiresAt: number; text: string }>): Promise<void>;
  /** The events that are kept, in no order, some of them perhaps twice. */
  events(): AsyncIterable<StoredEvent[]>;
  removeEvents(events: readonly StoredEvent[]): Promise<void>;
}

export type MarkField =
  /** A {@link HighWaterMark}, authenticated. */
  | 'mark'
  /** The states of the keys when it was written, authenticated. */
  | 'keys'
  /** A {@link HighWaterMark} of a host without a keyring. */
  | 'hint';

export type StoredMarks = Record<MarkField, string | null>;

export interface StoredEvent {
  text: string;
  /** Where it is kept. */
  shard: number;
}

/** How far a database has come. Each number only grows, but where an older state comes back. */
export interface DatabaseHeads {
  /** When `db recover` last settled what holds; 0 where it never did. */
  recoveredAt: number;
  /** Of the key store. */
  revision: number;
  audit: AuditHead;
}

export interface HighWaterMark extends DatabaseHeads {
  /** The last event of the security log; it says nothing once it has expired. */
  lastEvent: { id: number; expiresAt: number } | null;
}

export interface KnownKeyState {
  kid: string;
  state: KeyState;
}

/** An event of the security log, as it was recorded. */
export type RecordedEvent = NewSecurityEvent & { id: number };

/** Whether the database lacks, or has otherwise, what it had when the mark was made. */
export async function isBehind(
  database: Pick<Database, 'heads' | 'auditLog'>,
  mark: DatabaseHeads,
): Promise<boolean> {
  const heads = await database.heads();
  if (heads.recoveredAt !== mark.recoveredAt) return heads.recoveredAt < mark.recoveredAt;
  if (heads.revision < mark.revision || heads.audit.seq < mark.audit.seq) return true;
  // A database that came back and went on has another row there.
  return (await database.auditLog.hashAt(mark.audit.seq)) !== mark.audit.hash;
}

/** What a MAC covers besides the text, so that no text counts in another place. */
export interface MarkOrigin {
  prefix: string;
  kind: 'mark' | 'keys' | 'event';
}

/** `<id of the master key> <MAC> <text>`; without a key both are a dash. */
export function authenticated(text: string, origin: MarkOrigin, key: MacKey | null): string {
  return key === null ? `- - ${text}` : `${key.id} ${macOf(text, origin, key).toString('base64url')} ${text}`;
}

/**
 * Reads what {@link authenticated} wrote, or whatever else stands there.
 *
 * @throws what `findKey` throws
 */
export async function readAuthenticated(
  stored: string,
  origin: MarkOrigin,
  findKey: (id: string) => Promise<MacKey | null>,
): Promise<{ text: string; isAuthentic: boolean }> {
  const { id, mac, text } = partsOf(stored);
  const key = id === '-' || id === '' ? null : await findKey(id);
  const given = Buffer.from(mac, 'base64url');
  const expected = key === null ? null : macOf(text, origin, key);
  const isAuthentic =
    expected !== null && given.length === expected.length && timingSafeEqual(given, expected);
  return { text, isAuthentic };
}

/** The text alone, whoever wrote it. */
export function textOf(stored: string): string {
  return partsOf(stored).text;
}

function partsOf(stored: string): { id: string; mac: string; text: string } {
  const [, id = '', mac = '', text = ''] = /^(\S+) (\S+) (.*)$/s.exec(stored) ?? [];
  return { id, mac, text };
}

/** 128 bits: nobody can try them out, and there is one for each revoked token. */
const MAC_BYTES = 16;

function macOf(text: string, { prefix, kind }: MarkOrigin, { secret }: MacKey): Buffer {
  return createHmac('sha256', secret)
    .update(JSON.stringify([prefix, kind, text]))
    .digest()
    .subarray(0, MAC_BYTES);
}

export function markText({ recoveredAt, revision, audit, lastEvent }: HighWaterMark): string {
  const event = lastEvent === null ? [] : [lastEvent.id, lastEvent.expiresAt];
  return JSON.stringify([recoveredAt, revision, audit.seq, audit.hash, ...event]);
}

/** Null for what is no mark. */
export function parseMark(text: string): HighWaterMark | null {
  const parsed = parseList(text);
  const [recoveredAt, revision, seq, hash, id, expiresAt] = parsed ?? [];
  const hasEvent = parsed?.length === 6;
  if (!hasEvent && parsed?.length !== 4) return null;
  if (![recoveredAt, revision, seq, ...(hasEvent ? [id, expiresAt] : [])].every(isCount)) return null;
  if (typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash)) return null;
  return {
    recoveredAt: recoveredAt as number,
    revision: revision as number,
    audit: { seq: seq as number, hash },
    lastEvent: hasEvent ? { id: id as number, expiresAt: expiresAt as number } : null,
  };
}

/** The higher of both, as far as they can be compared. */
export function higherMark(one: HighWaterMark | null, other: HighWaterMark | null): HighWaterMark | null {
  if (one === null || other === null) return one ?? other;
  if (one.recoveredAt !== other.recoveredAt) return one.recoveredAt > other.recoveredAt ? one : other;
  return {
    recoveredAt: one.recoveredAt,
    revision: Math.max(one.revision, other.revision),
    audit: one.audit.seq >= other.audit.seq ? one.audit : other.audit,
    lastEvent: (one.lastEvent?.id ?? -1) >= (other.lastEvent?.id ?? -1) ? one.lastEvent : other.lastEvent,
  };
}

export function keyStatesText(keys: readonly KnownKeyState[]): string {
  return JSON.stringify(keys.map(({ kid, state }) => [kid, state]));
}

export function parseKeyStates(text: string): KnownKeyState[] {
  return (parseList(text) ?? []).flatMap((member) => {
    if (!Array.isArray(member)) return [];
    const [kid, name] = member;
    const state = KEY_STATES.find((known) => known === name);
    return typeof kid === 'string' && state !== undefined ? [{ kid, state }] : [];
  });
}

const EVENT_TYPES = [
  'token_revoked',
  'subject_revoked',
  'kid_revoked',
  'all_revoked',
  'key_compromised',
  'user_disabled',
  'user_enabled',
  'user_removed',
] as const satisfies ReadonlyArray<NewSecurityEvent['type']>;

export function eventText(event: RecordedEvent): string {
  const { id, type, sub, jti, kid, issuedBefore, userVersion, reason, at, expiresAt } = event;
  // JSON makes null of what is undefined.
  return JSON.stringify([id, type, sub, jti, kid, issuedBefore, userVersion, reason, at, expiresAt]);
}

/** Null for what is no event. */
export function parseEvent(text: string): RecordedEvent | null {
  const parsed = parseList(text);
  if (parsed?.length !== 10) return null;
  const [id, name, sub, jti, kid, issuedBefore, userVersion, reason, at, expiresAt] = parsed;
  const type = EVENT_TYPES.find((known) => known === name);
  if (type === undefined || ![id, at, expiresAt].every(isCount)) return null;
  if (![sub, jti, kid, reason].every((value) => value === null || typeof value === 'string')) return null;
  if (![issuedBefore, userVersion].every((value) => value === null || isCount(value))) return null;
  return {
    ...{ id: id as number, type, reason: reason as string | null },
    ...{ at: at as number, expiresAt: expiresAt as number },
    ...(sub === null ? {} : { sub: sub as string }),
    ...(jti === null ? {} : { jti: jti as string }),
    ...(kid === null ? {} : { kid: kid as string }),
    ...(issuedBefore === null ? {} : { issuedBefore: issuedBefore as number }),
    ...(userVersion === null ? {} : { userVersion: userVersion as number }),
  };
}

function parseList(text: string): unknown[] | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
