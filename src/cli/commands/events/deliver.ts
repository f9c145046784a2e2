import type { StreamPosition } from '../../../domain/event-stream/position.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { delivery, pendingDelivery } from '../../output/views/events.js';
import { positionFlag } from '../shared/position-flag.js';

export const defineDeliver: DefineCommand = (group, run) => {
  group
    .command('deliver')
    .description(
      'Deliver new events to hooks.command.\n\nFor cron, on an installation without jwtctl serve. The command gets the lines of `events follow` on standard input, at least once. If it exits with 0, the events count as delivered. The first run only stores the position. If several runs overlap, one of them delivers.',
    )
    .option('--from <position>', 'deliver again from this position on; 0 is the oldest event', positionFlag)
    .examples('jwtctl events deliver', 'jwtctl events deliver --from 482-9f3c21d0aa11bb22')
    .action(run(deliver));
};

interface DeliverFlags {
  from?: StreamPosition;
}

const deliver: Action<DeliverFlags, []> = async ({ context: open, globals, signal, caution }, { from }) => {
  const context = await open();
  const events = await context.eventDelivery(caution);
  if (events === null)
    throw new JwtctlError('ERR_CONFIG_INCOMPLETE', 'hooks.command is not set.', {
      hint: 'Set hooks.command (JWTCTL_HOOKS_COMMAND) to the command that gets the events.',
    });
  if (globals.dryRun) return { view: pendingDelivery((await events.backlog({ from })).events) };
  try {
    if (from !== undefined && !(await events.moveTo(from)))
      throw new JwtctlError(
        'ERR_EVENTS_DELIVERED_ELSEWHERE',
        'Another process is delivering events, so the position is unchanged.',
      );
    const { isHolder, events: count, position } = await events.deliver(signal);
    const notes = isHolder ? [] : ['Another process is delivering events.'];
    return { view: delivery(count, isHolder ? position : null), notes };
  } finally {
    await events.release().catch(() => {});
  }
};
