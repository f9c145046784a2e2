import { takeSnapshot } from '../../../domain/registry/snapshot.js';
import { asSentence } from '../../../domain/shared/text.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { snapshotReport } from '../../output/views/cache/backup.js';
import { newBackup } from './new-backup.js';

export const defineSnapshot: DefineCommand = (group, run) => {
  group
    .command('snapshot')
    .argument('<file>', 'new file that only its owner can read')
    .description('Write all live entries to an encrypted backup file.')
    .examples('jwtctl cache snapshot before-upgrade', 'jwtctl cache snapshot before-upgrade --json')
    .action(run(snapshot));
};

const snapshot: Action<object, [string]> = async (invocation, _flags, name) => {
  const { globals, signal, withProgress } = invocation;
  const file = newBackup(invocation, name);
  const context = await invocation.context({ migratesEmbedded: false });
  const ports = await context.administration();
  await file.assertFree();
  await (await context.sealer()).assertSeals();
  if (!globals.dryRun) signal.throwIfAborted();
  const into = globals.dryRun ? null : { backups: await context.backups(), file };
  const report = await withProgress('Reading', (onProgress) =>
    takeSnapshot(ports, into, { signal, onProgress }),
  );
  return {
    view: snapshotReport(report),
    exitCode: report.complete ? EXIT.done : EXIT.partial,
    warnings: report.missed.map((missed) => asSentence(`Not read: ${missed}`)),
  };
};
