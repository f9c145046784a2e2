import { type RewrapReport, rewrapKeys } from '../../../domain/keys/rewrap.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { rewrapReport } from '../../output/views/keys/custody.js';

export const defineRewrap: DefineCommand = (group, run) => {
  group
    .command('rewrap')
    .description(
      'Encrypt all private keys with the first master key of the keyring.\n\nSafe to interrupt and to run again.',
    )
    .examples('jwtctl keys rewrap', 'jwtctl keys rewrap --dry-run')
    .action(run(rewrap));
};

const rewrap: Action<object, []> = async ({ context: open, globals, signal }) => {
  const context = await open();
  const { clock, actor } = context;
  const [database, sealer] = await Promise.all([context.database(), context.sealer()]);
  const { dryRun } = globals;
  const report = await rewrapKeys({ database, sealer, clock, actor }, { dryRun, signal });
  return {
    view: rewrapReport(report, dryRun),
    exitCode: report.failed.length === 0 ? EXIT.done : EXIT.partial,
    warnings: rewrapWarnings(report),
  };
};

function rewrapWarnings({ failed, left }: RewrapReport): string[] {
  return [
    ...failed.map(({ message, hint }) => (hint === undefined ? message : `${message} ${hint}`)),
    ...(left.length === 0 ? [] : [`Not rewrapped: ${left.join(', ')}. Run the same command again.`]),
  ];
}
