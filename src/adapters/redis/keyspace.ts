/// <reference path="./cluster-key-slot.d.ts" />
import hashSlot from 'cluster-key-slot';
import { familyJti, familyOf } from '../../domain/model/family.js';
import { isLegacyId } from '../../domain/model/legacy-id.js';
import { MAX_SUBJECT_BYTES, subjectFault } from '../../domain/model/subject.js';
import { parseMeta, type TokenMeta } from '../../domain/model/token-meta.js';
import type {
  KnownUserStatus,
  LegacyEntry,
  ScannedEntry,
  TokenFamily,
  UserStatus,
} from '../../domain/ports/index.js';
import { JwtctlError } from '../../domain/shared/errors.js';

export const HASH_SLOTS = 16_384;

/**
 * Names every key and member of the registry:
 * - `<prefix>:{<sub>}`, a sorted set: {@link entryMember} with its `exp` as the score, {@link STATUS_MEMBER},
 *   {@link VERSION_MEMBER}, {@link seenMember}
 * - `<prefix>:{<sub>}:meta`, a hash from entry member to {@link formatMeta}; for a legacy token, to {@link formatLegacyEntry}
 * - `<prefix>:{<sub>}:refresh`, a hash from family to {@link familyRecord}
 * - `<prefix>:fleet`, a hash from verifier id to heartbeat
 * - `<prefix>:marks`, a hash: the high-water marks of the database
 * - `<prefix>:events:<n>`, sorted sets: the events of the security log, each with its expiry
 * In `<sub>`, all bytes except `A-Z a-z 0-9 . _ ~ @ -` are written as `%XX`, so a subject cannot end the hash tag
 * or act as a glob.
 */
export interface Keyspace {
  readonly prefix: string;
  /** Also matches keys that are not subject sets. */
  readonly pattern: string;
  keysOf(sub: string): SubjectKeys;
  readonly fleet: { key: string; slot: number };
  readonly marks: { key: string; slot: number };
  readonly eventShards: ReadonlyArray<{ key: string; slot: number }>;
  /** Returns the subject of a sorted set; null for any other key, even one that decodes to a subject. */
  subjectOf(key: string): string | null;
  /** Returns the subject of a sorted set or a hash of families; null for any other key. */
  locate(key: string, slot?: number): LocatedSubject | null;
}

export interface SubjectKeys {
  entries: string;
  meta: string;
  refresh: string;
  slot: number;
}

export interface LocatedSubject extends SubjectKeys {
  sub: string;
}

/** @param prefix without braces, which would change the hash tag */
export function keyspace(prefix: string): Keyspace {
  const start = `${prefix}:{`;
  const subjectOf = (key: string): string | null =>
    key.startsWith(start) && key.endsWith('}') ? decodeSubject(key.slice(start.length, -1)) : null;
  const keysAt = (entries: string, slot: number): SubjectKeys => ({
    entries,
    meta: `${entries}:meta`,
    refresh: `${entries}${REFRESH}`,
    slot,
  });
  const locate: Keyspace['locate'] = (key, slot) => {
    const entries = key.endsWith(REFRESH) ? key.slice(0, -REFRESH.length) : key;
    const sub = subjectOf(entries);
    if (sub === null) return null;
    return { sub, ...keysAt(entries, slot ?? hashSlot(entries.slice(start.length, -1))) };
  };
  return {
    prefix,
    pattern: `${start.replace(/[*?[\]\\]/g, '\\$&')}*`,
    keysOf(sub) {
      const tag = encodeSubject(sub);
      return keysAt(`${start}${tag}}`, hashSlot(tag));
    },
    fleet: named(`${prefix}:fleet`),
    marks: named(`${prefix}:marks`),
    eventShards: Array.from({ length: EVENT_SHARDS }, (_, shard) => named(`${prefix}:events:${shard}`)),
    subjectOf,
    locate,
  };
}

const REFRESH = ':refresh';

const EVENT_SHARDS = 16;

function named(key: string): { key: string; slot: number } {
  return { key, slot: hashSlot(key) };
}

/** Its score is the end of the cached status, negative if disabled. Entry members never begin with `!`. */
export const STATUS_MEMBER = '!s';

/** Its score is the negative version, because removing expired members takes scores above 0. */
export const VERSION_MEMBER = '!v';

/**
 * The member that says when a token was last seen, with `token.idleTimeout`. Its score is the negative time, because
 * removing expired members takes scores above 0. Entry members never begin with `~`.
 */
export function seenMember(jti: string): string {
  return SEEN_PREFIX + jti;
}

export const SEEN_PREFIX = '~';

/** Returns undefined for a score that jwtctl does not write. */
export function lastSeenAt(score: number | null | undefined): number | undefined {
  return Number.isSafeInteger(score) && Number(score) < 0 ? -Number(score) : undefined;
}

export function statusScore(user: { status: UserStatus; until: number }): number {
  return user.status === 'enabled' ? user.until : -user.until;
}

export function cachedStatus(status: number | null, version: number | null): KnownUserStatus | null {
  if (!Number.isSafeInteger(status) || !Number.isSafeInteger(version ?? 0)) return null;
  if (status === null || status === 0 || (version ?? 0) > 0) return null;
  return {
    status: status > 0 ? 'enabled' : 'disabled',
    version: Math.abs(version ?? 0),
    until: Math.abs(status),
  };
}

/**
 * The member of a legacy token is its id alone, because a verifier learns `keyId` and `iat` from it. Up to 64
 * bytes, members keep the sorted set compact (zset-max-listpack-value).
 */
export function entryMember(entry: { keyId: number; iat: number; jti: string }): string {
  return isLegacyId(entry.jti) ? entry.jti : `${formatLegacyEntry(entry)}.${entry.jti}`;
}

/** Formats the key and the `iat` of a legacy token, which are stored in place of meta. */
export function formatLegacyEntry({ keyId, iat }: LegacyEntry): string {
  return `${base36(keyId)}.${base36(iat)}`;
}

/** Returns null for anything that {@link formatLegacyEntry} does not write. */
export function parseLegacyEntry(text: string): LegacyEntry | null {
  const data = Buffer.from(text);
  const dot = indexOfDot(data, 0, data.length);
  const [keyId, iat] = [parseBase36(data, 0, dot), parseBase36(data, dot + 1, data.length)];
  return keyId === -1 || iat === -1 ? null : { keyId, iat };
}

/**
 * Formats the state of a family, without the time of the last refresh (ms, by the server's clock) and the
 * meta, which the script appends.
 */
export function familyRecord({
  counter,
  keyId,
  iat,
  startedAt,
  exp,
}: Omit<TokenFamily, 'family' | 'meta'>): string {
  return [counter, keyId, iat, startedAt, exp].map(base36).join('.');
}

/** Returns null for anything that jwtctl does not write. */
export function parseFamily(family: string, record: string): TokenFamily | null {
  const [, numbers, meta] = /^((?:[0-9a-z]{1,10}\.){5})\d{1,15}(?: (.*))?$/s.exec(record) ?? [];
  if (numbers === undefined) return null;
  const [counter = 0, keyId = 0, iat = 0, startedAt = 0, exp = 0] = numbers
    .split('.')
    .map((digits) => Number.parseInt(digits, 36));
  if (familyOf(familyJti(family, counter)) !== family) return null;
  return { family, counter, keyId, iat, startedAt, exp, meta: meta === undefined ? null : parseMeta(meta) };
}

/** Parses a member within a longer text. A regular expression and parseInt took five times as long. */
export function parseEntry(
  { text, data }: MemberText,
  from: number,
  end: number,
  exp: number,
  meta: TokenMeta | null,
): ScannedEntry | null {
  const first = indexOfDot(data, from, end);
  const second = indexOfDot(data, first + 1, end);
  const keyId = parseBase36(data, from, first);
  const iat = parseBase36(data, first + 1, second);
  if (second === end || keyId === -1 || iat === -1) return null;
  if (!Number.isSafeInteger(exp) || exp <= 0) return null;
  return { jti: text.slice(second + 1, end), keyId, iat, exp, meta };
}

/** A text and its bytes. Up to the jti, one byte is one character. */
export interface MemberText {
  text: string;
  data: Uint8Array;
}

function indexOfDot(data: Uint8Array, from: number, end: number): number {
  for (let index = from; index < end; index++) if (data[index] === DOT) return index;
  return end;
}

/** Returns -1 for anything that {@link base36} does not write. */
function parseBase36(data: Uint8Array, from: number, end: number): number {
  const length = end - from;
  // Ten digits are below 2^53.
  if (length < 1 || length > 10 || (length > 1 && data[from] === DIGIT_0)) return -1;
  let value = 0;
  for (let index = from; index < end; index++) {
    const code = data[index] ?? 0;
    if (code >= DIGIT_0 && code <= DIGIT_0 + 9) value = value * 36 + code - DIGIT_0;
    else if (code >= LETTER_A && code < LETTER_A + 26) value = value * 36 + code - LETTER_A + 10;
    else return -1;
  }
  return value;
}

const DOT = '.'.charCodeAt(0);
const DIGIT_0 = '0'.charCodeAt(0);
const LETTER_A = 'a'.charCodeAt(0);

function base36(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new JwtctlError('ERR_BUG', `${value} cannot be a part of a registry entry.`);
  }
  return value.toString(36);
}

const UNESCAPED = /^[A-Za-z0-9._~@-]+$/;

function encodeSubject(sub: string): string {
  if (UNESCAPED.test(sub)) return sub;
  let encoded = '';
  for (const byte of Buffer.from(sub)) {
    const character = String.fromCharCode(byte);
    encoded += /[A-Za-z0-9._~@-]/.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

function decodeSubject(encoded: string): string | null {
  if (UNESCAPED.test(encoded)) return encoded.length <= MAX_SUBJECT_BYTES ? encoded : null;
  if (!/^(?:[A-Za-z0-9._~@-]|%[0-9A-F]{2})+$/.test(encoded)) return null;
  // Invalid UTF-8 becomes U+FFFD, which encodes to other bytes.
  const bytes = encoded.replace(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  const sub = Buffer.from(bytes, 'latin1').toString();
  return encodeSubject(sub) === encoded && subjectFault(sub) === null ? sub : null;
}
