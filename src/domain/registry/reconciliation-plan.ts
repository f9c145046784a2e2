import { isTrusted, type SigningKey } from '../model/signing-key.js';
import type {
  EntryName,
  KnownUserStatus,
  RegistryEntry,
  ScannedSubject,
  SubjectDetails,
  User,
} from '../ports/index.js';
import type { RevocationIndex } from '../security-log/revocation-index.js';

/** Why an entry is removed, in the order of a verifier's checks. */
export const DROP_REASONS = ['keyNotTrusted', 'revoked', 'userUnknown'] as const;
export type DropReason = (typeof DROP_REASONS)[number];

export interface ReconciliationRules {
  now: number;
  clockToleranceSeconds: number;
  statusTtlSeconds: number;
  /** Whether `users.source` is `managed`. A row missing from an application's table may come back. */
  ownsUsers: boolean;
}

/** Read after the subject's entries. */
export interface DurableKnowledge {
  events: RevocationIndex;
  user: User | null;
  keys: ReadonlyMap<number, SigningKey>;
}

export interface Reconciliation {
  drops: Array<{ entry: EntryName; reason: DropReason }>;
  /** Null if the cached status is correct, or the user has no entries. */
  userToCache: User | null;
  hasWrongExpiry: boolean;
  /** Expired entries that still exist. Data of a subject without any entries counts as one. */
  leftovers: number;
  seen: SeenOfSubject;
}

/** Sums over the subject's parts so far. */
export interface SeenOfSubject {
  details: SubjectDetails | null;
  live: number;
  kept: number;
  lastExp: number;
}

export const NOTHING_SEEN: SeenOfSubject = { details: null, live: 0, kept: 0, lastExp: 0 };

/**
 * Plans the corrections of one part of a subject. Never drops an entry that a verifier would accept: lost
 * trust is final, and an issuer reads key and user before it registers a token, so a later read finds them.
 */
export function planReconciliation(
  part: ScannedSubject,
  known: DurableKnowledge,
  rules: ReconciliationRules,
  earlier = NOTHING_SEEN,
): Reconciliation {
  const drops: Reconciliation['drops'] = [];
  for (const { jti, keyId, iat } of part.entries) {
    const entry = { jti, keyId, iat };
    const reason = dropReason(part.sub, entry, known, rules);
    if (reason !== null) drops.push({ entry, reason });
  }
  const seen: SeenOfSubject = {
    details: part.details ?? earlier.details,
    live: earlier.live + part.entries.length,
    kept: earlier.kept + part.entries.length - drops.length,
    lastExp: latestExp(earlier.lastExp, part.entries),
  };
  if (!part.isLast || seen.details === null)
    return { drops, userToCache: null, hasWrongExpiry: false, leftovers: 0, seen };
  return {
    drops,
    userToCache: seen.kept === 0 || isRight(seen.details.user, known.user) ? null : known.user,
    hasWrongExpiry: seen.kept > 0 && seen.details.expiresAt !== seen.lastExp + rules.clockToleranceSeconds,
    leftovers: countLeftovers(seen, seen.details),
    seen,
  };
}

function dropReason(
  sub: string,
  { jti, keyId, iat }: EntryName,
  { keys, events, user }: DurableKnowledge,
  { ownsUsers }: ReconciliationRules,
): DropReason | null {
  const key = keys.get(keyId);
  if (key === undefined || !isTrusted(key.state)) return 'keyNotTrusted';
  if (events.covers({ sub, jti, kid: key.kid, iat })) return 'revoked';
  return user === null && ownsUsers ? 'userUnknown' : null;
}

/** A cached version above the directory's is wrong too, because the directory was read later. */
function isRight(cached: KnownUserStatus | null, user: User | null): boolean {
  if (cached === null || user === null || user.version === 0) return true;
  return cached.version === user.version && cached.status === user.status;
}

function countLeftovers({ live }: SeenOfSubject, { expired }: SubjectDetails): number {
  return live > 0 || expired > 0 ? expired : 1;
}

function latestExp(earlier: number, entries: readonly RegistryEntry[]): number {
  return entries.reduce((latest, { exp }) => Math.max(latest, exp), earlier);
}
