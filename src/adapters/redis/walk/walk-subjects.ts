import type { RegistrySession } from '../session.js';
import { ClusterWalk } from './walk-cluster.js';
import { scanServer } from './walk-single-server.js';
import type { TakeSubjects, WalkOutcome, WalkSteering } from './walk-types.js';

/**
 * Passes each subject to `take` once. A hash slot, read with CLUSTER GETKEYSINSLOT (exact, unlike SCAN),
 * counts if the master had all of it before and after. A migrating slot is read from its source, then its
 * target, as keys move.
 */
export async function walkSubjects(
  session: RegistrySession,
  take: TakeSubjects,
  steering: WalkSteering,
): Promise<WalkOutcome> {
  await session.connection.ready();
  return session.connection.mode === 'cluster'
    ? new ClusterWalk(session, take, steering).run()
    : scanServer(session, take, steering);
}
