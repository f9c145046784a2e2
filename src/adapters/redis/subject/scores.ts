import type { SubjectKeys } from '../keyspace.js';
import type { RegistrySession } from '../session.js';
import { replyCode } from '../wire/redis-errors.js';
import { scoresIn } from '../wire/reply-shapes.js';

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
