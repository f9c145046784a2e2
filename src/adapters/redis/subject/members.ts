import { isLegacyId } from '../../../domain/model/legacy-id.js';
import { parseMeta } from '../../../domain/model/token-meta.js';
import type { KnownUserStatus, ScannedEntry } from '../../../domain/ports/index.js';
import {
  cachedStatus,
  lastSeenAt,
  parseEntry,
  parseLegacyEntry,
  SEEN_PREFIX,
  STATUS_MEMBER,
  VERSION_MEMBER,
} from '../keyspace.js';
import { type BulkStrings, endOf, numberAt, startOf, stringAt, utf8, utf8At } from '../wire/bulk-strings.js';

export interface Members {
  entries: ScannedEntry[];
  /** Members that are neither entries, nor say when one was seen, nor the cached user status. */
  malformed: number;
  expired: number;
  /** All other members. A set without any belongs to another application. */
  valid: number;
  user: KnownUserStatus | null;
  /** Legacy members whose key and `iat` are not in `meta`. They count as malformed. */
  withoutFacts: string[];
}

export function membersIn(
  set: BulkStrings,
  horizon: number,
  stored: ReadonlyMap<string, string> | null,
): Members {
  const entries: ScannedEntry[] = [];
  let status: number | null = null;
  let version: number | null = null;
  let malformed = 0;
  let expired = 0;
  let seen = 0;
  const withoutFacts: string[] = [];
  for (let index = 1; index < set.count; index += 2) {
    const score = numberAt(set, index + 1);
    const text = stored?.get(stringAt(set, index));
    const meta = text === undefined ? null : parseMeta(text);
    const entry = parseEntry(set, startOf(set, index), endOf(set, index), score, meta);
    if (entry !== null) {
      if (!set.isAscii) entry.jti = utf8(entry.jti);
      if (entry.exp > horizon) entries.push(entry);
      else expired += 1;
      continue;
    }
    const member = stringAt(set, index);
    if (member === STATUS_MEMBER) status = score;
    else if (member === VERSION_MEMBER) version = score;
    else if (member.startsWith(SEEN_PREFIX) && lastSeenAt(score) !== undefined) seen += 1;
    else if (isLegacyId(member)) {
      const legacy = legacyEntry(member, score, stored);
      if (legacy === null) withoutFacts.push(member);
      else if (legacy.exp > horizon) entries.push(legacy);
      else expired += 1;
    } else malformed += 1;
  }
  const valid = entries.length + expired + Number(status !== null) + Number(version !== null) + seen;
  malformed += withoutFacts.length;
  return { entries, malformed, expired, valid, user: cachedStatus(status, version), withoutFacts };
}

function legacyEntry(
  jti: string,
  exp: number,
  stored: ReadonlyMap<string, string> | null,
): ScannedEntry | null {
  const entry = parseLegacyEntry(stored?.get(jti) ?? '');
  if (entry === null || !Number.isSafeInteger(exp) || exp <= 0) return null;
  return { jti, ...entry, exp, meta: null };
}

export function metaIn(hash: BulkStrings): Map<string, string> | null {
  if (hash.count <= 1) return null;
  const meta = new Map<string, string>();
  for (let index = 1; index < hash.count; index += 2) {
    meta.set(stringAt(hash, index), utf8At(hash, index + 1));
  }
  return meta;
}

/** Whether a SCAN reply has more pages. Only a reply with a single page repeats no member. */
export function isPartial(scanned: BulkStrings): boolean {
  return scanned.count > 0 && stringAt(scanned, 0) !== '0';
}
