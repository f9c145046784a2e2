import { restore } from '../../../domain/registry/restore.js';
import { asSentence } from '../../../domain/shared/text.js';
import { ifReachable } from '../../../domain/shared/unavailable.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { restorationReport } from '../../output/views/cache/backup.js';

export const defineRestore: DefineCommand = (group, run) => {
  group
    .command('restore')
    .argument('<file>', 'backup file of `cache snapshot` or `cache flush --backup`; - reads standard input')
    .description(
      'Restore entries from a backup file.\n\nSkips entries that are expired or revoked, whose key no longer verifies, or whose user is disabled or does not exist.',
    )
    .examples('jwtctl cache restore before-upgrade --dry-run', 'jwtctl cache restore - < before-upgrade')
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
  // While one master is away, the others get their entries back.
  await ifReachable(() => context.assertOwnPrefix(), undefined);
  await (await context.guard()).assertCurrent();
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
    warnings: report.missed.map((missed) => asSentence(`Incomplete: ${missed}`)),
  };
};
