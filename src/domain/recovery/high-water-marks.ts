import { createHmac, timingSafeEqual } from 'node:crypto';
import { KEY_STATES, type KeyState } from '../model/signing-key.js';
import type { Database, MacKey, NewSecurityEvent } from '../ports/index.js';
import type { DatabaseHeads } from '../ports/mark-store.js';

export interface HighWaterMark extends DatabaseHeads {
  /** The last event of the security log. Has no meaning once it has expired. */
  lastEvent: { id: number; expiresAt: number } | null;
}

export interface KnownKeyState {
  kid: string;
  state: KeyState;
}

export type RecordedEvent = NewSecurityEvent & {
  id: number;
  /** {@link DatabaseHeads.recoveredAt} when the event was recorded. */
  recoveredAt: number;
};

/** Returns whether the database lacks or contradicts the state at the time of the mark. */
export async function isBehind(
  database: Pick<Database, 'heads' | 'auditLog'>,
  mark: DatabaseHeads,
): Promise<boolean> {
  const heads = await database.heads();
  if (heads.recoveredAt !== mark.recoveredAt) return heads.recoveredAt < mark.recoveredAt;
  if (heads.revision < mark.revision || heads.audit.seq < mark.audit.seq) return true;
  // After a restore, new writes put a different row here. The oldest rows may be archived and deleted, so a
  // missing row counts only if an older one is there.
  const last = await database.auditLog.lastUpTo(mark.audit.seq);
  return last !== null && (last.seq !== mark.audit.seq || last.hash !== mark.audit.hash);
}

/** Also covered by the MAC, so that a text copied to another place does not verify. */
export interface MarkOrigin {
  prefix: string;
  kind: 'mark' | 'keys' | 'event';
}

/** Returns `<id of the master key> <MAC> <text>`; without a key, the id and MAC are dashes. */
export function authenticated(text: string, origin: MarkOrigin, key: MacKey | null): string {
  return key === null ? `- - ${text}` : `${key.id} ${macOf(text, origin, key).toString('base64url')} ${text}`;
}

/** Any text that {@link authenticated} did not write is not authentic. @throws errors of `findKey` */
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

/** Does not check the MAC. */
export function textOf(stored: string): string {
  return partsOf(stored).text;
}

function partsOf(stored: string): { id: string; mac: string; text: string } {
  const [, id = '', mac = '', text = ''] = /^(\S+) (\S+) (.*)$/s.exec(stored) ?? [];
  return { id, mac, text };
}

/** 128 bits cannot be guessed. Events stay small, because there is one for each revoked token. */
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
  'family_revoked',
  'subject_revoked',
  'kid_revoked',
  'all_revoked',
  'key_compromised',
  'user_disabled',
  'user_enabled',
  'user_removed',
  'user_refreshed',
] as const satisfies ReadonlyArray<NewSecurityEvent['type']>;

export function eventText(event: RecordedEvent): string {
  const { id, type, sub, jti, kid, issuedBefore, userVersion, except, reason, at, expiresAt, recoveredAt } =
    event;
  const named = [id, type, sub, jti, kid, issuedBefore, userVersion, reason];
  const end = event.disabledUntil === undefined ? [] : [event.disabledUntil];
  // JSON turns undefined into null.
  return JSON.stringify([...named, at, expiresAt, recoveredAt, except, ...end]);
}

export function parseEvent(text: string): RecordedEvent | null {
  const parsed = parseList(text);
  if (parsed?.length !== 12 && parsed?.length !== 13) return null;
  const [
    id,
    name,
    sub,
    jti,
    kid,
    issuedBefore,
    userVersion,
    reason,
    at,
    expiresAt,
    recoveredAt,
    except,
    end,
  ] = parsed;
  if (parsed.length === 13 && !isCount(end)) return null;
  const type = EVENT_TYPES.find((known) => known === name);
  if (type === undefined || ![id, at, expiresAt, recoveredAt].every(isCount)) return null;
  if (![sub, jti, kid, reason, except].every((value) => value === null || typeof value === 'string'))
    return null;
  if (![issuedBefore, userVersion].every((value) => value === null || isCount(value))) return null;
  const optional = { sub, jti, kid, issuedBefore, userVersion, except, disabledUntil: end ?? null };
  const given = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== null));
  return { id, type, ...given, reason, at, expiresAt, recoveredAt } as RecordedEvent;
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
