import type { EntryName, TokenRecord } from '../../../domain/ports/index.js';
import {
  cachedStatus,
  entryMember,
  lastSeenAt,
  STATUS_MEMBER,
  type SubjectKeys,
  seenMember,
  VERSION_MEMBER,
} from '../keyspace.js';
import type { RegistrySession } from '../session.js';
import { replyCode } from '../wire/redis-errors.js';
import { scoresIn } from '../wire/reply-shapes.js';

/** The members that hold the status of a token. */
export function statusMembers(entry: EntryName, recordsUse: boolean): string[] {
  const members = [entryMember(entry), STATUS_MEMBER, VERSION_MEMBER];
  return recordsUse ? [...members, seenMember(entry.jti)] : members;
}

/** Interprets the scores of {@link statusMembers}. */
export function storedStatus(scores: ReadonlyArray<number | null>): Omit<TokenRecord, 'serverStartedAt'> {
  const [exp = null, status = null, version = null, seen] = scores;
  return { exp, user: cachedStatus(status, version), lastSeen: lastSeenAt(seen) };
}

/** Returns each member's score, null if missing; an empty array for a key of another type. */
export async function readScores(
  session: RegistrySession,
  { entries, slot }: Pick<SubjectKeys, 'entries' | 'slot'>,
  members: readonly string[],
): Promise<Array<number | null>> {
  const commands = [['zmscore', entries, ...members] as const];
  const [reply] = (await session.batcher.send({ slot, commands })).replies;
  if (replyCode(reply) === 'WRONGTYPE') return [];
  return session.connection.unwrap(reply, (given) => scoresIn(given, members.length));
}
