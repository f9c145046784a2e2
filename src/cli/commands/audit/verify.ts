import { verifyAuditLog } from '../../../domain/audit-log/verify-audit-log.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Action, DefineCommand, Invocation } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { auditReport } from '../../output/views/audit.js';

export const defineVerify: DefineCommand = (group, run) => {
  group
    .command('verify')
    .description(
      'Verify the hash chain of the audit log.\n\nLists rows that were changed, removed, or inserted, and exits with 1 if there are any.',
    )
    .examples('jwtctl audit verify', 'jwtctl audit verify --json')
    .action(run(verify));
};

const verify: Action<object, []> = async (invocation) => {
  const { signal, withProgress } = invocation;
  const context = await invocation.context();
  const [{ auditLog }, macKeys] = await Promise.all([context.database(), context.auditKeys()]);
  const report = await withProgress('Verifying', (onProgress) =>
    verifyAuditLog({ auditLog, findKey: (id) => macKeys.find(id) }, { signal, onProgress }),
  );
  const isBehind = await isDatabaseBehind(invocation);
  return {
    view: auditReport(report, isBehind),
    exitCode: report.faults.length > 0 || isBehind ? EXIT.refused : EXIT.done,
    warnings: [
      ...(report.faults.some(({ finding }) => finding === 'key_unknown') ? [KEY_UNKNOWN] : []),
      ...(report.unauthenticated.length > 0 ? [UNAUTHENTICATED] : []),
      ...(isBehind ? [BEHIND] : []),
    ],
  };
};

/** The high-water mark in Redis names a row. It reveals a log whose end was cut off, and a restored backup. */
async function isDatabaseBehind({ context }: Invocation): Promise<boolean> {
  try {
    await (await (await context()).guard()).assertCurrent();
    return false;
  } catch (error) {
    if (error instanceof JwtctlError && error.code === 'ERR_DATABASE_BEHIND') return true;
    throw error;
  }
}

const KEY_UNKNOWN =
  'The rows with an unknown key cannot be checked: the keyring lacks their master key. Add it to the keyring as another line.';
const UNAUTHENTICATED =
  'The unauthenticated rows come from hosts without a keyring, or from an account that can write to the audit log.';
const BEHIND =
  'The database lacks earlier changes: it was restored from a backup, or the end of the audit log was removed. Run `jwtctl db recover`.';
