import type { StoredStatus } from '../../../domain/ports/index.js';
import { cachedStatus, lastSeenAt, type SubjectKeys, seenMember } from '../keyspace.js';
import { storedStatus } from '../subject/scores.js';
import { type BulkStrings, numberOrNullAt, stringAt } from '../wire/bulk-strings.js';
import { encodeCommands } from '../wire/codec.js';
import { isScore } from '../wire/reply-shapes.js';
import type { MasterConnection } from './master-connection.js';

export class Query {
  readonly keys: SubjectKeys;
  readonly members: readonly string[];
  readonly text: string;
  readonly #jti: string | null;

  /** @param members see `statusMembers` @param jti null if `withLastSeen` is not used */
  constructor(keys: SubjectKeys, members: readonly string[], jti: string | null = null) {
    this.keys = keys;
    this.members = members;
    this.text = encodeCommands([['zmscore', keys.entries, ...members]]);
    this.#jti = jti;
  }

  /** Built on demand, because it is rarely needed. */
  withLastSeen(): Query {
    return this.#jti === null ? this : new Query(this.keys, [...this.members, seenMember(this.#jti)]);
  }
}

export interface Pending {
  query: Query;
  resolve(status: StoredStatus): void;
  reject(error: unknown): void;
  /** Whether the entry was already found missing and is now checked on the master's own connection. */
  isRead?: boolean;
}

/** Returns null for a reply that Redis does not send: a server that is not Redis, or a proxy, may send anything. */
export function leasedStatus(
  reply: BulkStrings,
  connection: MasterConnection,
  { keys, members }: Query,
  epoch: number,
): StoredStatus | null {
  const score = (index: number) => numberOrNullAt(reply, index);
  const [exp, status, version] = [score(0), score(1), score(2)];
  const seen = members.length > 3 ? score(3) : null;
  const isWrong = (value: number | null, index: number) =>
    Number.isNaN(value) && !isScore(stringAt(reply, index));
  if (reply.count !== members.length || [exp, status, version, seen].some(isWrong)) return null;
  const user = cachedStatus(status, version);
  const use = { lastSeen: lastSeenAt(seen), serverStartedAt: connection.startedAt };
  // No lease for a missing entry: invented tokens must not fill the memory.
  return { exp, user, ...use, lease: exp === null ? null : connection.leaseOf(keys.entries), epoch };
}

export function plainStatus(scores: ReadonlyArray<number | null>, epoch: number): StoredStatus {
  return { ...storedStatus(scores), lease: null, epoch };
}
