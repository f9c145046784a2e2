import { type AuditReport, verifyAuditLog } from '../../../domain/audit-log/verify-audit-log.js';
import type { MarkComparison } from '../../../domain/recovery/database-guard.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { auditReport } from '../../output/views/audit.js';

export const defineVerify: DefineCommand = (group, run) => {
  group
    .command('verify')
    .description(
      'Verify the hash chain of the audit log.\n\nLists rows that were changed, removed, or inserted, and exits with 1 if there are any. Compares the last rows with the high-water mark in Redis, and exits with 4 if Redis cannot be reached, or 5 if it has no mark.',
    )
    .option('--require-authenticated', 'count rows that no master key authenticates as faults')
    .examples('jwtctl audit verify', 'jwtctl audit verify --json')
    .action(run(verify));
};

const verify: Action<{ requireAuthenticated?: true }, []> = async (
  { signal, withProgress, context: open },
  { requireAuthenticated },
) => {
  const context = await open({ migratesEmbedded: false });
  const [{ auditLog }, macKeys] = await Promise.all([context.database(), context.auditKeys()]);
  const report = await withProgress('Verifying', (onProgress) =>
    verifyAuditLog(
      { auditLog, findKey: (id) => macKeys.find(id) },
      { requireAuthenticated, signal, onProgress },
    ),
  );
  const comparison = await (await context.guard()).compare();
  return {
    view: auditReport(report, comparison),
    exitCode: exitCode(report, comparison),
    warnings: [
      ...(report.faults.some(({ finding }) => finding === 'key_unknown') ? [KEY_UNKNOWN] : []),
      ...(report.unauthenticatedRows > 0 ? [UNAUTHENTICATED] : []),
      ...COMPARED[comparison],
    ],
  };
};

function exitCode({ faults }: AuditReport, comparison: MarkComparison): number {
  if (faults.length > 0 || comparison === 'behind') return EXIT.refused;
  if (comparison === 'unreachable') return EXIT.unavailable;
  return comparison === 'no_mark' ? EXIT.partial : EXIT.done;
}

const KEY_UNKNOWN =
  'The rows with an unknown key cannot be checked: the keyring lacks their master key. Add it to the keyring as another line.';
const UNAUTHENTICATED =
  'The unauthenticated rows come from hosts without a keyring, or from an account that can write to the audit log.';
/** The high-water mark in Redis names a row. It reveals a log whose end was cut off, and a restored backup. */
const COMPARED: Record<MarkComparison, readonly string[]> = {
  current: [],
  not_applicable: [],
  behind: [
    'The database lacks earlier changes: it was restored from a backup, or the end of the audit log was removed. Run `jwtctl db recover`.',
  ],
  unreachable: [
    'The end of the audit log was not checked, because Redis cannot be reached. Run the command again later.',
  ],
  no_mark: [
    'The end of the audit log was not checked, because Redis has no high-water mark that this keyring can verify. The next key change, revocation, or prune writes one.',
  ],
};
