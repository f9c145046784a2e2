import type { WalkOptions } from '../../../domain/ports/index.js';
import type { Batcher } from '../cluster/batcher.js';
import type { RedisConnection, RedisNode } from '../cluster/redis-connection.js';
import type { Keyspace, LocatedSubject } from '../keyspace.js';
import { scanServer } from './scan-walk.js';
import { SlotWalk } from './slot-walk.js';

/**
 * Shows `take` every subject, each once, and all masters at work side by side.
 *
 * In a cluster it walks the hash slots with CLUSTER GETKEYSINSLOT. That is exact where SCAN is not: within a slot nothing
 * is listed twice, a subject lives in one slot only, and what is complete can be told. A slot counts where the master
 * served all of it before and after it was read. Any other is read again from whoever serves it then; a slot on its way
 * from one master to another is read from the first and then from the second, which is the order in which keys travel.
 *
 * A single server has no slots, and a service may forbid the command: there it is SCAN.
 */
export async function walkSubjects(
  whole: WholeRegistry,
  take: TakeSubjects,
  steering: WalkSteering,
): Promise<WalkOutcome> {
  await whole.connection.ready();
  return whole.connection.mode === 'cluster'
    ? new SlotWalk(whole, take, steering).run()
    : scanServer(whole, take, steering);
}

export interface WalkSteering extends Pick<WalkOptions, 'signal' | 'onProgress'> {
  /** Also subjects of which nothing is there but labels. */
  withLabels?: boolean;
}

export interface WholeRegistry {
  connection: RedisConnection;
  batcher: Batcher;
  keyspace: Keyspace;
}

/** Takes subjects in, some hundreds at a time, and from several places at once. Where it rejects, they count as missed. */
export type TakeSubjects = (node: RedisNode, subjects: readonly LocatedSubject[]) => Promise<void>;

export interface WalkOutcome {
  /** What could not be seen, for a person; empty where everything was. */
  missed: string[];
  masters: Array<{ node: RedisNode; slots: number | null }>;
}
