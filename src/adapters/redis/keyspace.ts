/// <reference path="./cluster-key-slot.d.ts" />
import hashSlot from 'cluster-key-slot';
import { MAX_SUBJECT_BYTES, subjectFault } from '../../domain/model/subject.js';
import type { KnownUserStatus, RegistryEntry, ScannedEntry, UserStatus } from '../../domain/ports/index.js';
import { JwtctlError } from '../../domain/shared/errors.js';

export const HASH_SLOTS = 16_384;

/**
 * Every key name and member that the registry uses. What lives under `<prefix>:`:
 *
 * - `<prefix>:{<sub>}`, a sorted set: a member per token, {@link entryMember}, its score the token's `exp`; and what is
 *   known of the user, {@link STATUS_MEMBER} and {@link VERSION_MEMBER}.
 * - `<prefix>:{<sub>}:labels`, a hash from entry member to label, made with the first label. The hash tag keeps it in
 *   the slot of the set, so that one script may change both.
 * - `<prefix>:fleet`, a hash from the id of a verifier that runs to what it tells of itself. No subject's key is named
 *   so, and whoever goes through subjects passes it by.
 * - `<prefix>:marks`, a hash: the high-water marks of the database.
 * - `<prefix>:events:<n>`, sorted sets: the events of the security log, each with its expiry, distributed by event id.
 *
 * `<sub>` is the subject's UTF-8 with all bytes outside `A-Z a-z 0-9 . _ ~ @ -` as `%XX`, so that no subject can end the
 * hash tag, act as a glob or collide with another. There is one way to write a subject: a name that decodes, but not
 * back to itself, is somebody else's key.
 */
export interface Keyspace {
  readonly prefix: string;
  /** A glob for SCAN that matches all keys of ours, and perhaps others. */
  readonly pattern: string;
  keysOf(sub: string): SubjectKeys;
  /** The hash of the verifiers. */
  readonly fleet: { key: string; slot: number };
  readonly marks: { key: string; slot: number };
  /** Ordered by number. */
  readonly eventShards: ReadonlyArray<{ key: string; slot: number }>;
  /** The subject whose sorted set is named `key`; null for any other key. */
  subjectOf(key: string): string | null;
  /** The same with its keys. @param slot of the key, where it is known */
  locate(key: string, slot?: number): LocatedSubject | null;
}

export interface SubjectKeys {
  /** The sorted set. */
  entries: string;
  /** The hash. */
  labels: string;
  /** The hash slot of both. */
  slot: number;
}

export interface LocatedSubject extends SubjectKeys {
  sub: string;
}

/** @param prefix without braces: they would take part in the hash tag */
export function keyspace(prefix: string): Keyspace {
  const start = `${prefix}:{`;
  const subjectOf = (key: string): string | null =>
    key.startsWith(start) && key.endsWith('}') ? decodeSubject(key.slice(start.length, -1)) : null;
  const locate: Keyspace['locate'] = (key, slot = hashSlot(key.slice(start.length, -1))) => {
    const sub = subjectOf(key);
    return sub === null ? null : { sub, entries: key, labels: `${key}${LABELS}`, slot };
  };
  return {
    prefix,
    pattern: `${start.replace(/[*?[\]\\]/g, '\\$&')}*}`,
    keysOf(sub) {
      const tag = encodeSubject(sub);
      const entries = `${start}${tag}}`;
      return { entries, labels: `${entries}${LABELS}`, slot: hashSlot(tag) };
    },
    fleet: named(`${prefix}:fleet`),
    marks: named(`${prefix}:marks`),
    eventShards: Array.from({ length: EVENT_SHARDS }, (_, shard) => named(`${prefix}:events:${shard}`)),
    subjectOf,
    locate,
  };
}

const LABELS = ':labels';

const EVENT_SHARDS = 16;

/** A key without a hash tag. */
function named(key: string): { key: string; slot: number } {
  return { key, slot: hashSlot(key) };
}

/** Its score: until when the status holds, negative where the user is disabled. No {@link entryMember} begins with `!`. */
export const STATUS_MEMBER = '!s';

/**
 * Its score: the negative version of the user. Whatever removes expired members by score takes those above 0, so it can
 * hit neither a version nor "disabled"; it may well hit an "enabled" whose time is over.
 */
export const VERSION_MEMBER = '!v';

export function statusScore(user: { status: UserStatus; until: number }): number {
  return user.status === 'enabled' ? user.until : -user.until;
}

/** Decodes the scores of {@link STATUS_MEMBER} and {@link VERSION_MEMBER}; null if they do not form a valid status. */
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
 * `<key id, base 36>.<iat, base 36>.<jti>`. With a jti of up to 47 characters it stays within the 64 bytes up to which a
 * sorted set keeps its compact encoding (zset-max-listpack-value).
 */
export function entryMember(entry: { keyId: number; iat: number; jti: string }): string {
  return `${base36(entry.keyId)}.${base36(entry.iat)}.${entry.jti}`;
}

/** The entry behind a member and its score; null where they are none of ours. */
export function parseEntry(member: string, score: string): RegistryEntry | null {
  const source = { text: member, data: Buffer.from(member) };
  const parsed = parseEntryIn(source, 0, member.length, Number(score), null);
  if (parsed === null) return null;
  const { label, ...entry } = parsed;
  return entry;
}

/**
 * The same of a member that is a part of a longer text, with the label it is given. A walk reads millions of them: with a
 * regular expression and parseInt it took five times as long, and nothing is made but what stays.
 */
export function parseEntryIn(
  { text, data }: MemberText,
  from: number,
  end: number,
  exp: number,
  label: string | null,
): ScannedEntry | null {
  const first = indexOfDot(data, from, end);
  const second = indexOfDot(data, first + 1, end);
  const keyId = parseBase36(data, from, first);
  const iat = parseBase36(data, first + 1, second);
  if (second === end || keyId === -1 || iat === -1) return null;
  if (!Number.isSafeInteger(exp) || exp <= 0) return null;
  return { jti: text.slice(second + 1, end), keyId, iat, exp, label };
}

/** A text and its bytes. Up to the jti a byte is a character. */
export interface MemberText {
  text: string;
  data: Uint8Array;
}

/** `end` where there is none. */
function indexOfDot(data: Uint8Array, from: number, end: number): number {
  for (let place = from; place < end; place++) if (data[place] === DOT) return place;
  return end;
}

/** What {@link base36} writes; -1 for all else. */
function parseBase36(data: Uint8Array, from: number, end: number): number {
  const length = end - from;
  // Ten digits are below 2^53.
  if (length < 1 || length > 10 || (length > 1 && data[from] === DIGIT_0)) return -1;
  let value = 0;
  for (let place = from; place < end; place++) {
    const code = data[place] ?? 0;
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

/** What stands for itself. */
const PLAIN = /^[A-Za-z0-9._~@-]+$/;

function encodeSubject(sub: string): string {
  if (PLAIN.test(sub)) return sub;
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
  if (PLAIN.test(encoded)) return encoded.length <= MAX_SUBJECT_BYTES ? encoded : null;
  if (!/^(?:[A-Za-z0-9._~@-]|%[0-9A-F]{2})+$/.test(encoded)) return null;
  // Bytes that are no UTF-8 become U+FFFD, which encodes to other bytes.
  const bytes = encoded.replace(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  const sub = Buffer.from(bytes, 'latin1').toString();
  return encodeSubject(sub) === encoded && subjectFault(sub) === null ? sub : null;
}
