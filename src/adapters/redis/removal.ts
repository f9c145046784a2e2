import type { Redis } from 'ioredis';
import type { EntryName, TidyOutcome, WideRemoval } from '../../domain/ports.js';
import type { RedisNode } from './connect.js';
import { entryMember } from './keyspace.js';
import { unwrap } from './pipeline.js';
import { confirmReplicas } from './replicas.js';
import { NOT_OURS, REMOVE, TIDY } from './scripts.js';
import { type WalkSteering, type WholeRegistry, walkSubjects } from './walk.js';

/**
 * Runs {@link REMOVE} on every subject, a script per key with the key declared: a script over keys that it does not
 * declare breaks off halfway where a slot is moving.
 *
 * @param args of REMOVE
 */
export async function removeEverywhere(
  { connection, batcher, keyspace }: WholeRegistry,
  args: ReadonlyArray<string | number>,
  steering: WalkSteering,
): Promise<WideRemoval> {
  const isRemoval = args[2] === 'remove';
  const byNode = new Map<string, { node: string; matched: number; removed: number }>();
  /** The connections that carried a removal; null where that is not known. */
  const touched = new Set<Redis | null>();
  const byKeyId = new Map<number, number>();
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
      subjects.map((sub) => {
        const { entries, labels, slot } = keyspace.keysOf(sub);
        return batcher.send({ slot, keys: [entries, labels], script: REMOVE, args });
      }),
    );
    let failure: unknown;
    for (const outcome of outcomes) {
      try {
        if (outcome.status === 'rejected') throw outcome.reason;
        const { replies, node, client } = outcome.value;
        const [state, matched = 0, largestIat = -1, ...counts] = unwrap(replies[0]) as number[];
        if (state === NOT_OURS || matched === 0) continue;
        const count = countFor(node?.name ?? walked.name);
        count.matched += matched;
        total.matched += matched;
        total.subjects += 1;
        total.largestIat = Math.max(total.largestIat, largestIat);
        for (let index = 0; index + 1 < counts.length; index += 2) {
          const [keyId = 0, count = 0] = counts.slice(index, index + 2);
          byKeyId.set(keyId, (byKeyId.get(keyId) ?? 0) + count);
        }
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

  const { missed, masters } = await walkSubjects({ connection, batcher, keyspace }, take, steering);
  for (const { node } of masters) countFor(node.name);
  return {
    matched: total.matched,
    removed: total.removed,
    subjects: total.subjects,
    largestIat: total.largestIat < 0 ? null : total.largestIat,
    byNode: [...byNode.values()],
    byKeyId: [...byKeyId].map(([keyId, matched]) => ({ keyId, matched })),
    replicasConfirmed: await confirmAll(touched, connection.timeoutMs),
    complete: missed.length === 0,
    missed,
  };
}

/**
 * Runs {@link TIDY} on each of these subjects.
 *
 * @param timed what every script is told of the time
 */
export async function tidy(
  { connection, batcher, keyspace }: WholeRegistry,
  subjects: ReadonlyArray<{ sub: string; entries: readonly EntryName[] }>,
  timed: ReadonlyArray<string | number>,
): Promise<TidyOutcome> {
  const removedByNode = new Map<string, number>();
  const touched = new Set<Redis | null>();
  let removed = 0;
  for (let from = 0; from < subjects.length; from += SUBJECTS_PER_TURN) {
    const requests = subjects.slice(from, from + SUBJECTS_PER_TURN).flatMap(({ sub, entries }) => {
      const members = entries.map(entryMember);
      const { entries: set, labels, slot } = keyspace.keysOf(sub);
      const target = { slot, keys: [set, labels], script: TIDY };
      return portionsOf(members).map((portion) => ({ ...target, args: [...timed, ...portion] }));
    });
    const answers = await Promise.all(requests.map((request) => batcher.send(request)));
    for (const [index, { replies, node, client }] of answers.entries()) {
      const [state, count = 0, isWritten = 0] = reply(() => unwrap(replies[0]) as number[]);
      if (state === NOT_OURS || isWritten === 0) continue;
      touched.add(client);
      const name = node?.name ?? connection.ownerName(requests[index]?.slot ?? 0) ?? '';
      removedByNode.set(name, (removedByNode.get(name) ?? 0) + count);
      removed += count;
    }
  }
  return {
    removed,
    byNode: [...removedByNode].map(([node, count]) => ({ node, removed: count })),
    replicasConfirmed: await confirmAll(touched, connection.timeoutMs),
  };

  function reply<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw connection.translate(error);
    }
  }
}

const SUBJECTS_PER_TURN = 500;
const MEMBERS_PER_SCRIPT = 1000;

/** One at least: without members, too, what has expired goes. */
function portionsOf(members: readonly string[]): string[][] {
  return Array.from({ length: Math.max(1, Math.ceil(members.length / MEMBERS_PER_SCRIPT)) }, (_, index) =>
    members.slice(index * MEMBERS_PER_SCRIPT, (index + 1) * MEMBERS_PER_SCRIPT),
  );
}

/** The least over these connections; null where nothing was written. A connection that is not known confirms nothing. */
async function confirmAll(touched: ReadonlySet<Redis | null>, timeoutMs: number): Promise<number | null> {
  if (touched.size === 0) return null;
  const confirmed = await Promise.all(
    [...touched].map((client) => (client === null ? 0 : confirmReplicas(client, timeoutMs))),
  );
  return Math.min(...confirmed);
}
