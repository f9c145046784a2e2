import type { SubjectKeys } from '../keyspace.js';
import type { RegistrySession } from '../session.js';
import { parseInfo } from '../wire/info.js';
import { startedAt } from '../wire/server-info.js';

/**
 * Returns when the master of a subject started: see {@link startedAt}. Null without permission to use INFO, or after a
 * redirect, because INFO then asks any node.
 */
export async function readStart(
  { batcher }: RegistrySession,
  { slot }: Pick<SubjectKeys, 'slot'>,
): Promise<number | null> {
  const { replies, node } = await batcher.send({ slot, commands: [['info', 'server', 'persistence']] });
  return node === null ? null : startedAt(parseInfo(replies[0]));
}
