import type { LocatedSubject } from '../keyspace.js';
import type { RegistrySession } from '../session.js';
import { type BulkStrings, stringAt } from '../wire/bulk-strings.js';
import { bulkStringsIn } from '../wire/codec.js';
import type { Command } from '../wire/pipeline.js';
import {
  CLUSTER_NODES,
  KEYS_PER_CROWDED_SLOT,
  keysInSlot,
  type Master,
  subjectsAmong,
} from './slot-listing.js';
import { parseSlotView } from './slot-view.js';

/**
 * Returns each subject of a slot that moves from one master to another: some of its keys are on the first, some on the
 * second. Returns null if the move ended meanwhile, or if the slot has too many keys to list.
 */
export async function readMovingSlot(
  { connection, keyspace }: RegistrySession,
  slot: number,
  source: Master,
  target: Master,
): Promise<LocatedSubject[] | null> {
  const read = async ({ node }: Master, command: Command): Promise<BulkStrings> =>
    bulkStringsIn((await connection.reading(node).send([command], connection.timeoutMs))[0]);
  const command = keysInSlot(slot, KEYS_PER_CROWDED_SLOT);
  // Keys move from the source to the target, so none is missed in this order.
  const lists = [await read(source, command), await read(target, command)];
  const { leaving } = parseSlotView(stringAt(await read(source, CLUSTER_NODES), 0));
  const isWhole = lists.every(({ count }) => count < KEYS_PER_CROWDED_SLOT);
  if (leaving.get(slot) !== target.view.id || !isWhole) return null;
  const subjects = lists.flatMap((keys) => subjectsAmong(keyspace, slot, keys));
  return [...new Map(subjects.map((subject) => [subject.sub, subject])).values()];
}
