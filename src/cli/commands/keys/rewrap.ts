import { type RewrapReport, rewrapKeys } from '../../../domain/keys/rewrap.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { rewrapReport } from '../../output/views/key-custody.js';
import { examples } from '../shared/examples.js';

export const defineRewrap: DefineCommand = (group, run) => {
  group
    .command('rewrap')
    .description(
      "seal every private key under the keyring's first master key; safe to cut off and to run again",
    )
    .addHelpText('after', examples('jwtctl keys rewrap', 'jwtctl keys rewrap --dry-run'))
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
    ...(left.length === 0 ? [] : [`Not moved: ${left.join(', ')}. Run the same command again.`]),
  ];
}
