import type { Redis } from 'ioredis';
import type { WideRemoval } from '../../domain/ports.js';
import type { RedisNode } from './connect.js';
import { unwrap } from './pipeline.js';
import { confirmReplicas } from './replicas.js';
import { NOT_OURS, REMOVE } from './scripts.js';
import { type WholeRegistry, walkSubjects } from './walk.js';

/**
 * Runs {@link REMOVE} on every subject, a script per key with the key declared: a script over keys that it does not
 * declare breaks off halfway where a slot is moving.
 *
 * @param args of REMOVE
 */
export async function removeEverywhere(
  { connection, batcher, keyspace }: WholeRegistry,
  args: ReadonlyArray<string | number>,
  signal?: AbortSignal,
): Promise<WideRemoval> {
  const isRemoval = args[2] === 'remove';
  const byNode = new Map<string, { node: string; matched: number; removed: number }>();
  /** The connections that carried a removal; null where that is not known. */
  const touched = new Set<Redis | null>();
  const total = { matched: 0, removed: 0, subjects: 0, largestIat: -1 };

  const countFor = (name: string) => {
    const known = byNode.get(name);
    if (known !== undefined) return known;
    const fresh = { node: name, matched: 0, removed: 0 };
    byNode.set(name, fresh);
    return fresh;
  };

  const take = async (walked: RedisNode, subjects: readonly string[]): Promise<void> => {
    const outcomes = await Promise.allSettled(
      subjects.map((sub) => batcher.send({ keys: keyspace.keysOf(sub), script: REMOVE, args })),
    );
    let failure: unknown;
    for (const outcome of outcomes) {
      try {
        if (outcome.status === 'rejected') throw outcome.reason;
        const { replies, node, client } = outcome.value;
        const [state, matched = 0, largestIat = -1] = unwrap(replies[0]) as number[];
        if (state === NOT_OURS || matched === 0) continue;
        const count = countFor(node?.name ?? walked.name);
        count.matched += matched;
        total.matched += matched;
        total.subjects += 1;
        total.largestIat = Math.max(total.largestIat, largestIat);
        if (!isRemoval) continue;
        count.removed += matched;
        total.removed += matched;
        touched.add(client);
      } catch (error) {
        failure ??= connection.translate(error);
      }
    }
    if (failure !== undefined) throw failure;
  };

  const { missed, masters } = await walkSubjects({ connection, batcher, keyspace }, take, signal);
  for (const { node } of masters) countFor(node.name);
  const confirmed = await Promise.all(
    [...touched].map((client) => (client === null ? 0 : confirmReplicas(client, connection.timeoutMs))),
  );
  return {
    matched: total.matched,
    removed: total.removed,
    subjects: total.subjects,
    largestIat: total.largestIat < 0 ? null : total.largestIat,
    byNode: [...byNode.values()],
    replicasConfirmed: confirmed.length === 0 ? null : Math.min(...confirmed),
    complete: missed.length === 0,
    missed,
  };
}
