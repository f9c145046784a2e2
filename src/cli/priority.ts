import { readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/**
 * Has this process take the processor only when nobody else wants it: a walk over a whole registry may take a second
 * longer, and on a host that it shares with Redis or with a service nobody waits for it.
 */
export function giveWay(): void {
  for (const thread of ownThreads()) {
    try {
      setPriority(thread, constants.priority.PRIORITY_LOW);
    } catch {
      // It has ended meanwhile, or has a lower priority already.
    }
  }
}

/** On Linux a priority is a thread's own, and V8's helpers have begun already; elsewhere 0 is the whole process. */
function ownThreads(): number[] {
  try {
    return readdirSync('/proc/self/task').map(Number);
  } catch {
    return [0];
  }
}
