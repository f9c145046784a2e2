import type { NotedStanding } from '../../../domain/ports/index.js';
import { notedStatus, STATUS_MEMBER, type SubjectKeys, VERSION_MEMBER } from '../keyspace.js';
import { type Bulks, numberOrNullAt } from '../wire/bulk-strings.js';
import { encodeCommands } from '../wire/codec.js';
import type { Lane } from './master-connection.js';

/** One ZMSCORE, written once for as often as it is asked. */
export class Query {
  readonly keys: SubjectKeys;
  readonly members: readonly string[];
  readonly text: string;

  constructor(keys: SubjectKeys, member: string) {
    this.keys = keys;
    this.members = [member, STATUS_MEMBER, VERSION_MEMBER];
    this.text = encodeCommands([['zmscore', keys.entries, ...this.members]]);
  }
}

/** A query that waits for its answer. */
export interface Pending {
  query: Query;
  resolve(standing: NotedStanding): void;
  reject(error: unknown): void;
  /** Whether the entry was already found missing and is now checked on the master's own connection. */
  isRead?: boolean;
}

export function heldStanding(reply: Bulks, lane: Lane, { keys }: Query, epoch: number): NotedStanding {
  const score = (index: number) => numberOrNullAt(reply, index);
  const exp = score(0);
  const user = notedStatus(score(1), score(2));
  // What is not there is asked for again: whoever invents tokens shall not fill a memory.
  return { exp, user, hold: exp === null ? null : lane.holdOf(keys.entries), epoch };
}

/** Of scores that came on no connection which tells of changes. */
export function plainStanding(scores: ReadonlyArray<number | null>, epoch: number): NotedStanding {
  const [exp = null, status = null, version = null] = scores;
  return { exp, user: notedStatus(status, version), hold: null, epoch };
}
