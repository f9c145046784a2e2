import type { AuditHead, Clock, Database, MacKey } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { PRUNE_ACTION, pruneTarget } from './prune-row.js';
import { type AuditReport, type AuditVerificationControl, verifyAuditLog } from './verify-audit-log.js';

export interface PrunePorts {
  database: Database;
  clock: Pick<Clock, 'now'>;
  actor: string;
  macKeys: { current(): Promise<MacKey | null>; find(id: string): Promise<MacKey | null> };
}

export interface PrunePlan {
  /** The last row to remove; null if no row is old enough. */
  upTo: AuditHead | null;
  rows: number;
  /** What a verification of the whole log found. */
  report: AuditReport;
}

/** Verifies the log, and finds the rows before the first one that is not old enough. */
export async function planPrune(
  { database, clock, macKeys }: PrunePorts,
  olderThanSeconds: number,
  control: Omit<AuditVerificationControl, 'onRow'>,
): Promise<PrunePlan> {
  const latest = clock.now() - olderThanSeconds;
  const plan: Omit<PrunePlan, 'report'> = { upTo: null, rows: 0 };
  let isOld = true;
  const report = await verifyAuditLog(
    { auditLog: database.auditLog, findKey: (id) => macKeys.find(id) },
    {
      ...control,
      onRow: ({ seq, hash, at }) => {
        isOld &&= at <= latest;
        if (!isOld) return;
        plan.upTo = { seq, hash };
        plan.rows += 1;
      },
    },
  );
  return { ...plan, report };
}

/** How many rows are removed at once, because a removal locks them. */
const PORTION = 1_000;

/**
 * Writes a row that names the last removed row, so that the rest of the log can be verified, and removes the rows.
 * After an interruption, the next run removes the rest.
 * @returns the number of removed rows
 * @throws JwtctlError `ERR_AUDIT_LOG_FAULTY` (state) unless `force` is set; `ERR_MASTER_KEY_MISSING` (state)
 */
export async function pruneAuditLog(
  { database, clock, actor, macKeys }: PrunePorts,
  { upTo, report }: PrunePlan,
  { force, reason, signal }: { force: boolean; reason: string | null; signal?: AbortSignal | undefined },
): Promise<number> {
  if (report.faults.length > 0 && !force) throw faulty();
  if (upTo === null) return 0;
  if ((await macKeys.current()) === null) {
    const message =
      'Pruning needs the master keyring, which authenticates the row that names the pruned rows.';
    throw new JwtctlError('ERR_MASTER_KEY_MISSING', message);
  }
  const endOf = (portion: number) => Math.min(report.start.seq + portion * PORTION, upTo.seq);
  let removed = await database.transaction(async ({ auditLog }) => {
    const row = { at: clock.now(), actor, action: PRUNE_ACTION, target: pruneTarget(upTo) };
    await auditLog.append({ ...row, outcome: report.faults.length > 0 ? 'forced' : 'done', reason });
    return auditLog.removeUpTo(endOf(1));
  });
  for (let portion = 2; endOf(portion - 1) < upTo.seq; portion++) {
    if (signal?.aborted) break;
    removed += await database.auditLog.removeUpTo(endOf(portion));
  }
  return removed;
}

function faulty(): JwtctlError {
  return new JwtctlError('ERR_AUDIT_LOG_FAULTY', 'The audit log has faults, so nothing was pruned.');
}
