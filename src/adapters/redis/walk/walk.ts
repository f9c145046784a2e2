import type { RegistrySession } from '../session.js';
import { scanServer } from './scan-walk.js';
import { SlotWalk } from './slot-walk.js';
import type { TakeSubjects, WalkOutcome, WalkSteering } from './types.js';

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
  session: RegistrySession,
  take: TakeSubjects,
  steering: WalkSteering,
): Promise<WalkOutcome> {
  await session.connection.ready();
  return session.connection.mode === 'cluster'
    ? new SlotWalk(session, take, steering).run()
    : scanServer(session, take, steering);
}
