import { reconcileRegistry } from '../../../domain/registry/reconcile.js';
import { clearExpiredEvents } from '../../../domain/security-log/clear-expired.js';
import { asSentence } from '../../../domain/shared/text.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { reconciliationReport } from '../../output/views/cache/reconcile.js';

export const defineReconcile: DefineCommand = (group, run) => {
  group
    .command('reconcile')
    .description(
      'Bring the registry in line with the database.\n\nRemoves entries that are revoked or whose key or user no longer exists, updates the cached user statuses, and removes leftovers. Safe to run every hour.',
    )
    .examples('jwtctl cache reconcile', 'jwtctl cache reconcile --dry-run --json')
    .action(run(reconcile));
};

const reconcile: Action<object, []> = async ({ context: open, globals, signal }) => {
  const context = await open();
  const { settings } = context;
  const [administration, users] = await Promise.all([context.administration(), context.users()]);
  await context.assertOwnPrefix();
  // A restored database may lack keys and users of valid tokens.
  await (await context.guard()).assertCurrent();
  const report = await reconcileRegistry(
    { ...administration, users },
    {
      clockToleranceSeconds: settings.token.clockTolerance,
      statusTtlSeconds: settings.users.statusTtl,
      ownsUsers: settings.users.source === 'managed',
      dryRun: globals.dryRun,
      signal,
    },
  );
  const uncleared = globals.dryRun ? null : await clearExpiredEvents(administration.database.securityLog);
  return {
    view: reconciliationReport(report, globals.dryRun),
    exitCode: report.complete ? EXIT.done : EXIT.partial,
    warnings: [
      ...report.missed.map((missed) => asSentence(`Not done: ${missed}`)),
      ...(uncleared === null ? [] : [uncleared]),
    ],
  };
};
