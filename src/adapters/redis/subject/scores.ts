import type { SubjectKeys } from '../keyspace.js';
import type { RegistrySession } from '../session.js';
import { replyCode } from '../wire/errors.js';

/**
 * The scores of these members of a subject's set, null for one that is not there, by the way that follows redirects and
 * waits out a failover.
 *
 * @returns none where the key is of a foreign type, which is not ours
 * @throws JwtctlError
 */
export async function readScores(
  session: RegistrySession,
  { entries, slot }: Pick<SubjectKeys, 'entries' | 'slot'>,
  members: readonly string[],
): Promise<Array<number | null>> {
  const commands = [['zmscore', entries, ...members] as const];
  const [reply] = (await session.batcher.send({ slot, commands })).replies;
  if (replyCode(reply) === 'WRONGTYPE') return [];
  const scores = session.unwrap(reply);
  return (Array.isArray(scores) ? scores : []).map((score) => (score === null ? null : Number(score)));
}
