import type { RedisNode } from '../cluster/redis-connection.js';
import type { Keyspace, LocatedSubject } from '../keyspace.js';
import { type BulkStrings, stringAt } from '../wire/bulk-strings.js';
import type { Command } from '../wire/pipeline.js';
import type { SlotView } from './slot-view.js';

/** A master and the slots that it had when it was last asked. */
export interface Master {
  node: RedisNode;
  view: SlotView;
}

export const CLUSTER_NODES: Command = ['cluster', 'nodes'];
export const KEYS_PER_CROWDED_SLOT = 10_000;

export function keysInSlot(slot: number, limit: number): Command {
  return ['cluster', 'getkeysinslot', slot, limit];
}

/** Returns each subject that has one of the keys, once. A subject may have a set and families, or only one of them. */
export function subjectsAmong(keyspace: Keyspace, slot: number, keys: BulkStrings): LocatedSubject[] {
  const listed = new Map<string, LocatedSubject>();
  for (let index = 0; index < keys.count; index++) {
    const subject = keyspace.locate(stringAt(keys, index), slot);
    if (subject !== null) listed.set(subject.sub, subject);
  }
  return [...listed.values()];
}
