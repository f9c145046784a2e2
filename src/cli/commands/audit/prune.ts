import { planPrune, pruneAuditLog } from '../../../domain/audit-log/prune-audit-log.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { pruneReport } from '../../output/views/audit.js';
import { durationFlag } from '../shared/flags.js';
import { reasonOption } from '../shared/reason-option.js';

export const definePrune: DefineCommand = (group, run) => {
  group
    .command('prune')
    .description(
      'Remove the oldest rows of the audit log permanently.\n\nVerifies the log first. The rest can still be verified: a new row names the last removed row and its hash. The database account needs the DELETE privilege on audit_log.',
    )
    .requiredOption('--older-than <duration>', 'remove only rows that are at least this old', durationFlag)
    .option('--force', 'prune even if the audit log has faults')
    .addOption(reasonOption())
    .examples('jwtctl audit prune --older-than 365d', 'jwtctl audit prune --older-than 730d --yes')
    .action(run(prune));
};

interface PruneFlags {
  olderThan: number;
  force?: true;
  reason?: string;
}

const prune: Action<PruneFlags, []> = async (invocation, { olderThan, force = false, reason = null }) => {
  const { globals, signal, withProgress, confirm } = invocation;
  const context = await invocation.context();
  const { actor } = context;
  const [database, clock, guard, macKeys] = await Promise.all([
    context.database(),
    context.databaseClock(),
    context.guard(),
    context.auditKeys(),
  ]);
  const ports = { database, clock, actor, guard, macKeys };
  const plan = await withProgress('Verifying', (onProgress) =>
    planPrune(ports, olderThan, { force, signal, onProgress }),
  );
  if (globals.dryRun) return { view: pruneReport(plan, null) };
  if (plan.upTo !== null) {
    await confirm(`Remove the ${pluralize(plan.rows, 'oldest row')} of the audit log permanently?`);
    signal.throwIfAborted();
  }
  const outcome = await pruneAuditLog(ports, plan, { reason, signal });
  return {
    view: pruneReport(plan, outcome),
    notes: outcome.isOvertaken ? [ALREADY_PRUNED] : [],
  };
};

const ALREADY_PRUNED = 'Another prune has already removed these rows.';
