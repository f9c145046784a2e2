import { followEvents } from '../../../domain/event-stream/follow.js';
import type { StreamPosition } from '../../../domain/event-stream/position.js';
import { findPosition } from '../../../domain/event-stream/read-events.js';
import type { JwtctlError } from '../../../domain/shared/errors.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { eventStream } from '../../output/views/events.js';
import { contradiction, durationFlag, integerFlag } from '../shared/flags.js';
import { positionFlag } from '../shared/position-flag.js';

export const defineFollow: DefineCommand = (group, run) => {
  group
    .command('follow')
    .description(
      'Print events as they happen, as NDJSON.\n\nEvents are changes of keys, revocations, disabled users, and refused refreshes. Runs until Ctrl-C, and waits while the database cannot be reached. To continue later, pass the `position` of the last line to --from. docs/events.md lists the events.',
    )
    .option(
      '--from <position>',
      'begin after this position; 0 begins with the oldest event (default: only new events)',
      positionFlag,
    )
    .option('--once', 'end after the last event instead of waiting for the next one')
    .option('--limit <n>', 'end after this many events', integerFlag('--limit', 1, 1_000_000_000))
    .option('--interval <duration>', 'how often to look for new events (default: 1s)', durationFlag)
    .examples('jwtctl events follow', 'jwtctl events follow --from 0 --once')
    .action(run(follow));
};

interface FollowFlags {
  from?: StreamPosition;
  once?: true;
  limit?: number;
  /** Seconds. */
  interval?: number;
}

const follow: Action<FollowFlags, []> = async (
  invocation,
  { from, once: isOnce = false, limit, interval },
) => {
  const { globals, signal, caution } = invocation;
  if (globals.format === 'json' && !isOnce)
    throw contradiction(
      '--json prints one document, so it needs --once.',
      'Without --json, each event is one JSON object on a line.',
    );
  const { clock, ...context } = await invocation.context({ migratesEmbedded: false });
  const { auditLog } = await context.database();
  const start = from === undefined ? await auditLog.head() : await findPosition(auditLog, from);
  const onFailure = (error: JwtctlError | null) =>
    error === null
      ? invocation.note('The database responds again.')
      : caution(`${error.message} Events continue when the database responds.`);
  const options = { signal, intervalSeconds: interval ?? INTERVAL_SECONDS, isOnce, limit, onFailure };
  return { view: eventStream(followEvents({ auditLog, clock }, start, options)) };
};

const INTERVAL_SECONDS = 1;
