import { restore } from '../../../domain/registry/restore.js';
import { asSentence } from '../../../domain/shared/text.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { restorationReport } from '../../output/views/cache-backup.js';
import { examples } from '../shared/examples.js';

export const defineRestore: DefineCommand = (group, run) => {
  group
    .command('restore')
    .argument('<file>', 'a backup of `cache snapshot` or `cache flush --backup`, or - for standard input')
    .description(
      'bring the entries of a backup back, but none that is expired, revoked, of a key that verifies no more, or of a user who is gone or disabled',
    )
    .addHelpText(
      'after',
      examples('jwtctl cache restore before-upgrade --dry-run', 'jwtctl cache restore - < before-upgrade'),
    )
    .action(run(restoreBackup));
};

const restoreBackup: Action<object, [string]> = async (invocation, _flags, name) => {
  const { globals, signal, withProgress } = invocation;
  const input = await invocation.openInput(name);
  const context = await invocation.context();
  const { settings } = context;
  const [administration, users, backups] = await Promise.all([
    context.administration(),
    context.users(),
    context.backups(),
  ]);
  if (!globals.dryRun) await (await context.guard()).assertCurrent();
  const backup = await backups.open(input.chunks(), input.name, signal);
  const report = await withProgress('Restoring', (onProgress) =>
    restore(
      { ...administration, users },
      { clockToleranceSeconds: settings.token.clockTolerance, statusTtlSeconds: settings.users.statusTtl },
      {
        backup,
        source: input.name,
        dryRun: globals.dryRun,
        signal,
        onProgress: (entries) => {
          const fraction = input.fractionRead();
          onProgress(
            fraction === null
              ? { unit: 'entries', done: entries, total: null }
              : { unit: '%', done: Math.floor(100 * fraction), total: 100, entries },
          );
        },
      },
    ),
  );
  return {
    view: restorationReport(report, globals.dryRun),
    exitCode: report.complete ? EXIT.done : EXIT.partial,
    warnings: report.missed.map((missed) => asSentence(`Not whole: ${missed}`)),
  };
};
