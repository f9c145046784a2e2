import type { WalkOptions } from '../../../domain/ports/index.js';
import type { RedisNode } from '../cluster/redis-connection.js';
import type { LocatedSubject } from '../keyspace.js';

export type WalkSteering = Pick<WalkOptions, 'signal' | 'onProgress'>;

/** Takes subjects in, some hundreds at a time, and from several places at once. Where it rejects, they count as missed. */
export type TakeSubjects = (node: RedisNode, subjects: readonly LocatedSubject[]) => Promise<void>;

export interface WalkOutcome {
  /** What could not be seen, for a person; empty where everything was. */
  missed: string[];
  masters: Array<{ node: RedisNode; slots: number | null }>;
}
