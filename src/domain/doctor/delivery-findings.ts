import { formatDuration } from '../shared/duration.js';
import { type Finding, fault, warning } from './check.js';
import type { StatusPorts } from './status-ports.js';

/** Longer than the pauses between two attempts, and than the time until another process takes over. */
const MOST_LAG_SECONDS = 300;

/** Judges how far the delivery to `hooks.command` is. Null without that setting. */
export async function deliveryFindings({
  eventDelivery,
  clock,
}: Pick<StatusPorts, 'eventDelivery' | 'clock'>): Promise<readonly Finding[] | null> {
  const delivery = await eventDelivery(() => {});
  if (delivery === null) return null;
  const { events, since, hasBegun, isLeased } = await delivery.backlog();
  if (!hasBegun)
    return [
      warning(
        'No process has delivered events to `hooks.command` yet, so the events until the first delivery are left out.',
        'Start `jwtctl serve`, or schedule `jwtctl events deliver`.',
      ),
    ];
  const lag = since === null ? 0 : clock.now() - since;
  if (lag <= MOST_LAG_SECONDS) return [];
  const waiting = `Events wait for \`hooks.command\`: ${events}, the oldest for ${formatDuration(lag)}`;
  return [
    isLeased
      ? fault(
          `${waiting}. A process has the lease to deliver them.`,
          'The log of `jwtctl serve` says whether the command fails. If it does not, the command is too slow.',
        )
      : fault(
          `${waiting}. No process has the lease to deliver them.`,
          'Run `jwtctl events deliver`. If it fails, it says why. If it succeeds, start `jwtctl serve`, or schedule that command.',
        ),
  ];
}
