import type { KnownUserStatus, ScannedEntry } from '../../../domain/ports/index.js';
import { cachedStatus, parseEntryIn, STATUS_MEMBER, VERSION_MEMBER } from '../keyspace.js';
import { type BulkStrings, endOf, numberAt, startOf, stringAt, utf8, utf8At } from '../wire/bulk-strings.js';

// What a subject's two keys hold, from replies that begin with a cursor.

/** What there is among the members of a sorted set. */
export interface Members {
  /** Those that live. */
  entries: ScannedEntry[];
  /** How many are none of ours. */
  malformed: number;
  /** How many entries have expired. */
  expired: number;
  /** How many are ours. A set in which none is belongs to somebody else. */
  ours: number;
  user: KnownUserStatus | null;
}

/**
 * @param set members and their scores
 * @param horizon what expires later lives
 * @param labels by member; null where there are none
 */
export function membersIn(
  set: BulkStrings,
  horizon: number,
  labels: ReadonlyMap<string, string> | null,
): Members {
  const entries: ScannedEntry[] = [];
  let status: number | null = null;
  let version: number | null = null;
  let malformed = 0;
  let expired = 0;
  for (let index = 1; index < set.count; index += 2) {
    const score = numberAt(set, index + 1);
    const label = labels === null ? null : (labels.get(stringAt(set, index)) ?? null);
    const entry = parseEntryIn(set, startOf(set, index), endOf(set, index), score, label);
    if (entry !== null) {
      if (!set.isAscii) entry.jti = utf8(entry.jti);
      if (entry.exp > horizon) entries.push(entry);
      else expired += 1;
      continue;
    }
    const member = stringAt(set, index);
    if (member === STATUS_MEMBER) status = score;
    else if (member === VERSION_MEMBER) version = score;
    else malformed += 1;
  }
  const ours = entries.length + expired + Number(status !== null) + Number(version !== null);
  return { entries, malformed, expired, ours, user: cachedStatus(status, version) };
}

/** The labels by member; null where there are none. @param hash fields and their values */
export function labelsIn(hash: BulkStrings): Map<string, string> | null {
  // A cursor alone.
  if (hash.count <= 1) return null;
  const labels = new Map<string, string>();
  for (let index = 1; index < hash.count; index += 2) {
    labels.set(stringAt(hash, index), utf8At(hash, index + 1));
  }
  return labels;
}

/** One call of a SCAN command names nothing twice; several calls may, and miss nothing only of what stays. */
export function isPartial(scanned: BulkStrings): boolean {
  return scanned.count > 0 && stringAt(scanned, 0) !== '0';
}
