import type { WalkOptions } from '../../domain/ports.js';
import type { RedisConnection, RedisNode } from './connect.js';
import type { Keyspace } from './keyspace.js';
import { sendPipeline, unwrap } from './pipeline.js';
import type { TakeSubjects, WalkOutcome, WholeRegistry } from './walk.js';

/** Every subject of a single server. */
export async function scanServer(
  whole: WholeRegistry,
  take: TakeSubjects,
  { signal, onProgress }: Pick<WalkOptions, 'signal' | 'onProgress'>,
): Promise<WalkOutcome> {
  const [node] = whole.connection.nodes();
  if (node === undefined) throw whole.connection.translate(new Error('The connection was lost at once.'));
  const masters = [{ node, slots: null }];
  const missed = (reason: string) => ({ missed: [`keys of ${node.name} (${reason})`], masters });
  let done = 0;
  try {
    for await (const subjects of scanSubjects(whole, node)) {
      if (signal?.aborted) return missed(INTERRUPTED);
      await take(node, subjects);
      done += subjects.length;
      onProgress?.({ unit: 'subjects', done, total: null });
    }
    return { missed: [], masters };
  } catch (error) {
    return missed(whole.connection.reasonFor(node.name, error));
  }
}

/**
 * The subjects of one server, each once, in portions. SCAN may name a key twice, so what was seen is kept: memory grows
 * with the subjects.
 *
 * @throws what ioredis throws
 */
export async function* scanSubjects(
  { connection, keyspace }: { connection: RedisConnection; keyspace: Keyspace },
  node: RedisNode,
): AsyncGenerator<string[]> {
  const seen = new Set<string>();
  let cursor = '0';
  do {
    const [reply] = await sendPipeline(
      node.client,
      [['scan', cursor, 'MATCH', keyspace.pattern, 'COUNT', KEYS_PER_STEP]],
      connection.timeoutMs,
    );
    const [next, keys] = unwrap(reply) as [string, string[]];
    cursor = next;
    const subjects: string[] = [];
    for (const key of keys) {
      const sub = keyspace.subjectOf(key);
      if (sub === null || seen.has(sub)) continue;
      seen.add(sub);
      subjects.push(sub);
    }
    yield subjects;
  } while (cursor !== '0');
}

export const INTERRUPTED = 'interrupted';
const KEYS_PER_STEP = 1000;
