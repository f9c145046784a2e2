import { readStatus, type Status } from '../../domain/doctor/read-status.js';
import type { Action, DefineCommand } from '../invocation.js';
import { EXIT } from '../output/exit-code.js';
import { installationStatus } from '../output/views/status.js';
import { statusPolicy } from './shared/status-policy.js';

export const defineStatus: DefineCommand = (command, run) => {
  command.examples('jwtctl status', 'jwtctl status --json').action(run(status));
};

const status: Action<object, []> = async ({ context: open, signal, withProgress }) => {
  const context = await open({ migratesEmbedded: false });
  const policy = statusPolicy(context.settings);
  const found = await withProgress('Reading', (onProgress) =>
    readStatus(context, policy, { signal, onProgress }),
  );
  return { view: installationStatus(found, context.settings), exitCode: exitCodeOf(found) };
};

/** A store that is away comes first, because a later run may succeed. */
function exitCodeOf({ problems, tokens, nodes, fleet }: Status): number {
  if (problems.some(({ kind }) => kind === 'unavailable')) return EXIT.unavailable;
  if (problems.some(({ kind }) => kind !== 'partial')) return EXIT.state;
  const isPartial =
    problems.length > 0 ||
    tokens?.complete === false ||
    nodes?.some(({ reachable }) => !reachable) === true ||
    (fleet !== null && fleet.unavailableReason !== null);
  return isPartial ? EXIT.partial : EXIT.done;
}
