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

/** Why an entry goes: the first reason for which a verifier refuses its token, in the order in which it looks. */
export const DROP_REASONS = ['keyNotTrusted', 'revoked', 'userUnknown'] as const;
export type DropReason = (typeof DROP_REASONS)[number];

export interface ReconciliationRules {
  now: number;
  clockToleranceSeconds: number;
  statusTtlSeconds: number;
  /**
   * Whether jwtctl keeps the users itself: only then does one who is not there have no tokens. In a table of the adopter's
   * a row may be missing for a moment, or the setting may name the wrong table: what such a token is refused for passes.
   */
  ownsUsers: boolean;
}

/** What the durable stores say of a subject, read after its entries. */
export interface DurableKnowledge {
  /** Those that concern its entries. */
  events: RevocationIndex;
  user: User | null;
  keys: ReadonlyMap<number, SigningKey>;
}

export interface Reconciliation {
  drops: Array<{ entry: EntryName; reason: DropReason }>;
  /** The user whose status must be cached; null if the cached status is right or the user has no entries. */
  note: User | null;
  /** Whether what is kept of the subject expires at another moment than with its last entry. */
  hasWrongExpiry: boolean;
  /** Expired entries that are still there; where nothing else is, what is left without any entry counts as one. */
  leftovers: number;
  /** For the next part of the same subject. */
  seen: SeenOfSubject;
}

/** What the parts of a subject that have been seen come to. */
export interface SeenOfSubject {
  details: SubjectDetails | null;
  live: number;
  kept: number;
  lastExp: number;
}

export const NOTHING_SEEN: SeenOfSubject = { details: null, live: 0, kept: 0, lastExp: 0 };

/**
 * What is wrong with a subject, or with a part of it: of the whole only the last part can tell.
 *
 * No entry goes whose token a verifier would accept, though an issuer may be at work in the same moment. Events never
 * cease to cover a token, and a key that is no longer trusted never is again; only a key or a user may appear. An issuer
 * has found both before it registers a token, so whoever reads keys and users after the entries finds them too.
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
    return { drops, note: null, hasWrongExpiry: false, leftovers: 0, seen };
  return {
    drops,
    note: seen.kept === 0 || isRight(seen.details.user, known.user) ? null : known.user,
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
  // If the key is missing (purged, or lost with the database), none of its tokens verify.
  const key = keys.get(keyId);
  if (key === undefined || !isTrusted(key.state)) return 'keyNotTrusted';
  if (events.covers({ sub, jti, kid: key.kid, iat })) return 'revoked';
  return user === null && ownsUsers ? 'userUnknown' : null;
}

/** A cached version above the directory's is wrong too, because the directory was read later. Without versions, nothing is cached. */
function isRight(cached: KnownUserStatus | null, user: User | null): boolean {
  if (cached === null || user === null || user.version === 0) return true;
  return cached.version === user.version && cached.status === user.status;
}

/** Where nothing lives, what else is ours goes. */
function countLeftovers({ live }: SeenOfSubject, { expired }: SubjectDetails): number {
  return live > 0 || expired > 0 ? expired : 1;
}

function latestExp(earlier: number, entries: readonly RegistryEntry[]): number {
  return entries.reduce((latest, { exp }) => Math.max(latest, exp), earlier);
}
