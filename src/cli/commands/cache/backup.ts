import type { PrivateFile } from '../../../domain/ports/index.js';
import { restore } from '../../../domain/registry/restore.js';
import { takeSnapshot } from '../../../domain/registry/snapshot.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { asSentence } from '../../../domain/shared/text.js';
import type { Action, DefineGroup, Invocation } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { restorationReport, snapshotReport } from '../../output/views/cache-backup.js';
import { examples } from '../shared/examples.js';

/** The verbs around backups: files of entries, sealed under the master key. */
export const defineCacheBackups: DefineGroup = (group, run) => {
  group
    .command('snapshot')
    .argument('<file>', 'a new file that only its owner may read')
    .description('write every live entry into a sealed backup, and remove nothing')
    .addHelpText(
      'after',
      examples('jwtctl cache snapshot before-upgrade', 'jwtctl cache snapshot before-upgrade --json'),
    )
    .action(run(snapshot));

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

/** The file that a backup is to be written into. */
export function newBackup(invocation: Invocation, name: string): PrivateFile {
  if (name !== '-') return invocation.privateFile(name);
  throw new JwtctlError('ERR_FLAG_INVALID', 'A backup is written to a file, never to standard output.', {
    hint: 'Name a file that is not there yet: what is in it is on the disk before anything is removed.',
  });
}

const snapshot: Action<object, [string]> = async (invocation, _flags, name) => {
  const { globals, signal, withProgress } = invocation;
  const file = newBackup(invocation, name);
  const context = await invocation.context();
  const ports = await context.administration();
  await file.assertFree();
  if (!globals.dryRun) signal.throwIfAborted();
  const into = globals.dryRun ? null : { backups: await context.backups(), file };
  const report = await withProgress('Reading', (onProgress) =>
    takeSnapshot(ports, into, { signal, onProgress }),
  );
  return {
    view: snapshotReport(report),
    exitCode: report.complete ? EXIT.done : EXIT.partial,
    warnings: report.missed.map((missed) => asSentence(`Not seen: ${missed}`)),
  };
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
