import type { WalkOptions } from '../../../domain/ports/index.js';
import type { RedisNode } from '../cluster/redis-connection.js';
import type { LocatedSubject } from '../keyspace.js';

export type WalkSteering = Pick<WalkOptions, 'signal' | 'onProgress'>;

/** Receives some hundreds of subjects, for several masters at once. If it rejects, they count as missed. */
export type TakeSubjects = (node: RedisNode, subjects: readonly LocatedSubject[]) => Promise<void>;

export interface WalkOutcome {
  /** Parts that could not be read, for a person. */
  missed: string[];
  masters: Array<{ node: RedisNode; slots: number | null }>;
}
