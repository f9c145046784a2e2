import type { AuditHead, AuditLog, Clock, Database, MacKey } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { PRUNE_ACTION, pruneTarget } from './prune-row.js';
import { type AuditReport, type AuditVerificationControl, verifyAuditLog } from './verify-audit-log.js';

export interface PrunePorts {
  database: Database;
  clock: Pick<Clock, 'now'>;
  actor: string;
  /** Throws `ERR_DATABASE_BEHIND` if the database lacks changes. */
  guard: { assertCurrent(): Promise<unknown> };
  macKeys: { current(): Promise<MacKey | null>; find(id: string): Promise<MacKey | null> };
}

export interface PrunePlan {
  /** The last row to remove; null if no row is old enough. */
  upTo: AuditHead | null;
  rows: number;
  /** What a verification of the whole log found. */
  report: AuditReport;
}

/**
 * Verifies the log, and finds the rows before the first one that is not old enough.
 * @throws JwtctlError `ERR_AUDIT_LOG_FAULTY` (state) unless `force` is set; `ERR_DATABASE_BEHIND` (state);
 *   `ERR_MASTER_KEY_MISSING` (state)
 */
export async function planPrune(
  { database, clock, guard, macKeys }: PrunePorts,
  olderThanSeconds: number,
  {
    force = false,
    ...control
  }: Pick<AuditVerificationControl, 'signal' | 'onProgress'> & { force?: boolean },
): Promise<PrunePlan> {
  await guard.assertCurrent();
  const latest = clock.now() - olderThanSeconds;
  let plan: Omit<PrunePlan, 'report'> = { upTo: null, rows: 0 };
  const report = await verifyAuditLog(
    { auditLog: database.auditLog, findKey: (id) => macKeys.find(id) },
    {
      ...control,
      onWalk: () => {
        plan = { upTo: null, rows: 0 };
        let isOld = true;
        return ({ seq, hash, at }) => {
          isOld &&= at <= latest;
          if (isOld) plan = { upTo: { seq, hash }, rows: plan.rows + 1 };
        };
      },
    },
  );
  if (report.faults.length > 0 && !force) throw faulty('The audit log has faults, so nothing was pruned.');
  if (plan.upTo !== null && (await macKeys.current()) === null) {
    const message = 'Pruning needs the master keyring to authenticate the row that records the prune.';
    throw new JwtctlError('ERR_MASTER_KEY_MISSING', message);
  }
  return { ...plan, report };
}

/** How many rows are removed at once, because a removal locks them. */
const PORTION = 1_000;

export interface PruneOutcome {
  removed: number;
  /** There are no rows up to this one. */
  prunedUpTo: number;
  /** Another prune has removed these rows since the plan. */
  isOvertaken: boolean;
}

/**
 * Writes a row that names the last removed row, so that the rest of the log can be verified, and removes the rows.
 * After an interruption, the next run removes the rest.
 * @throws JwtctlError `ERR_AUDIT_LOG_FAULTY` (state) if the last row to remove has changed since the plan;
 *   `ERR_DATABASE_BEHIND` (state)
 */
export async function pruneAuditLog(
  { database, clock, actor, guard }: PrunePorts,
  { upTo, report }: PrunePlan,
  { reason, signal }: { reason: string | null; signal?: AbortSignal | undefined },
): Promise<PruneOutcome> {
  if (upTo === null) return { removed: 0, prunedUpTo: report.start.seq, isOvertaken: false };
  let removed = 0;
  let prunedUpTo = 0;
  try {
    ({ removed, prunedUpTo } = await database.transaction(async ({ auditLog }) => {
      const row = { at: clock.now(), actor, action: PRUNE_ACTION, target: pruneTarget(upTo) };
      // The row comes first. It locks the end of the log, so no other prune is between the check and the removal.
      await auditLog.append({ ...row, outcome: report.faults.length > 0 ? 'forced' : 'done', reason });
      await assertStillThere(auditLog, upTo);
      return auditLog.removeUpTo(upTo.seq, PORTION);
    }));
    while (prunedUpTo < upTo.seq && !signal?.aborted) {
      await guard.assertCurrent();
      const portion = await database.transaction(async ({ auditLog }) => {
        await assertStillThere(auditLog, upTo);
        return auditLog.removeUpTo(upTo.seq, PORTION);
      });
      removed += portion.removed;
      prunedUpTo = portion.prunedUpTo;
    }
    return { removed, prunedUpTo, isOvertaken: false };
  } catch (error) {
    if (error instanceof Overtaken) return { removed, prunedUpTo: upTo.seq, isOvertaken: removed === 0 };
    throw error;
  }
}

/** Rolls back the row about a prune, because another prune has removed the same rows. */
class Overtaken extends Error {}

async function assertStillThere(
  auditLog: Pick<AuditLog, 'lastUpTo'>,
  { seq, hash }: AuditHead,
): Promise<void> {
  const last = await auditLog.lastUpTo(seq);
  if (last === null) throw new Overtaken();
  if (last.seq !== seq || last.hash !== hash)
    throw faulty(
      `Row ${seq} of the audit log was changed or removed after the check, so no more rows were pruned.`,
    );
}

function faulty(message: string): JwtctlError {
  return new JwtctlError('ERR_AUDIT_LOG_FAULTY', message);
}
