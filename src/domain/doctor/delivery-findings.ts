import type { Backlog } from '../event-stream/deliver.js';
import { formatDuration } from '../shared/duration.js';
import { type Finding, fault, warning } from './check.js';
import type { StatusPorts } from './status-ports.js';

/** Longer than the pauses between two attempts. */
const MOST_LAG_SECONDS = 300;

/** How long after the end of a lease another process may still need to take over. */
const TAKEOVER_SECONDS = 30;

/** More is not counted, because a report must not read a whole audit log. */
const MOST_PAGES = 10;

/**
 * Reads how far the delivery to `hooks.command` is. Null without that setting.
 * @throws JwtctlError (state) `ERR_POSITION_PRUNED`, `ERR_POSITION_UNKNOWN`
 */
export async function readBacklog({
  eventDelivery,
}: Pick<StatusPorts, 'eventDelivery'>): Promise<Backlog | null> {
  const delivery = await eventDelivery(() => {});
  return delivery === null ? null : delivery.backlog({ pages: MOST_PAGES });
}

export function deliveryFindings(
  { events, isComplete, since, hasBegun, isLeased, leaseSeconds }: Backlog,
  now: number,
): readonly Finding[] {
  if (!hasBegun)
    return [
      warning(
        'No process has delivered events to `hooks.command` yet. Events from before the first delivery will not be delivered.',
        'Start `jwtctl serve`, or schedule `jwtctl events deliver`.',
      ),
    ];
  const lag = since === null ? 0 : now - since;
  if (lag <= Math.max(MOST_LAG_SECONDS, leaseSeconds + TAKEOVER_SECONDS)) return [];
  const count = isComplete ? events : `at least ${events}`;
  const waiting = `Undelivered events for \`hooks.command\`: ${count}. The oldest has waited for ${formatDuration(lag)}`;
  return [
    isLeased
      ? fault(
          `${waiting}. A process has the lease to deliver them.`,
          'Check the log of `jwtctl serve` for failures of the command. If there are none, the command is too slow.',
        )
      : fault(
          `${waiting}. No process has the lease to deliver them.`,
          'Run `jwtctl events deliver`. If it fails, it says why. If it succeeds, start `jwtctl serve`, or schedule that command.',
        ),
  ];
}
