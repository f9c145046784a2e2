import type { AuditChainHead, AuditHead, AuditLog, AuditRow, MacKey } from '../ports/index.js';
import { GENESIS, verifyAuditChain } from './audit-chain.js';
import { type AuditFinding, AuditFindings } from './audit-findings.js';
import { prunedUpTo } from './prune-row.js';

export interface AuditReport {
  /** The last row when the verification began. */
  head: AuditChainHead;
  /** The row before the oldest one; `seq` is 0 for a log that was never pruned. */
  start: AuditHead;
  rows: number;
  faults: AuditFinding[];
  /** Rows of hosts without a keyring, unless they count as faults. */
  unauthenticated: AuditFinding[];
  /** How many rows no master key authenticates. */
  unauthenticatedRows: number;
  /** The last row that a master key authenticates. */
  lastAuthenticated: AuditHead | null;
  /** The number of findings that are not listed. */
  omitted: number;
}

export interface AuditVerificationPorts {
  auditLog: Pick<AuditLog, 'head' | 'rows' | 'outliers'>;
  /** Returns null if the keyring lacks the master key. */
  findKey(masterKeyId: string): Promise<MacKey | null>;
}

export interface AuditVerificationControl {
  signal?: AbortSignal | undefined;
  /** Whether rows that no master key authenticates are faults. Default: false */
  requireAuthenticated?: boolean | undefined;
  /** Called at the start of a walk, which may be the second. Returns what to call with each row of the chain, in order. */
  onWalk?: (() => (row: AuditRow) => void) | undefined;
  onProgress?: ((progress: { done: number; total: number; unit: string }) => void) | undefined;
}

/** How many findings of each kind are listed. */
const MOST_LISTED = 1_000;
const PROGRESS_EVERY = 1_000;

/**
 * Verifies the whole log in bounded memory. A log whose oldest rows were pruned is valid if a later row, authenticated
 * with a master key, says so. Rows that are appended meanwhile are not verified.
 */
export async function verifyAuditLog(
  { auditLog, findKey }: AuditVerificationPorts,
  control: AuditVerificationControl = {},
): Promise<AuditReport> {
  const ports = { auditLog, findKey: remembered(findKey) };
  const walked = await walk(ports, control);
  // A prune during the walk looks like removed rows.
  if (!walked.report.faults.some(isRemoval)) return walked.report;
  return withoutPruned(auditLog, await walk(ports, control));
}

function isRemoval({ finding }: AuditFinding): boolean {
  return finding === 'removed';
}

/** Drops the findings about rows that a running prune has removed meanwhile: none before them is left. */
async function withoutPruned(
  auditLog: Pick<AuditLog, 'rows'>,
  { report, pruned }: Walked,
): Promise<AuditReport> {
  if (!report.faults.some(isRemoval)) return report;
  const { first } = await peeked(auditLog.rows({ firstSeq: 1, lastSeq: report.head.seq }));
  const start = startBefore(first);
  if (missingStart(start, pruned) !== null) return report;
  const faults = report.faults.filter((fault) => !isRemoval(fault) || fault.lastSeq > start.seq);
  return { ...report, start, faults };
}

interface Walked {
  report: AuditReport;
  /** The last row that an authenticated row says was pruned. */
  pruned: AuditHead | null;
}

async function walk(
  { auditLog, findKey }: AuditVerificationPorts,
  { signal, requireAuthenticated = false, onWalk, onProgress }: AuditVerificationControl,
): Promise<Walked> {
  const head = await auditLog.head();
  const { first, rows } = await peeked(auditLog.rows({ firstSeq: 1, lastSeq: head.seq }));
  const start = startBefore(first);
  const findings = new AuditFindings(MOST_LISTED);
  const seen = { rows: 0, unauthenticatedRows: 0, lastAuthenticated: null as AuditHead | null };
  let pruned: AuditHead | null = null;
  const onRow = onWalk?.();
  await verifyAuditChain({
    ...{ head, start, findings, rows, findKey },
    onRow: (row, state) => {
      seen.rows += 1;
      if (state === 'unauthenticated') seen.unauthenticatedRows += 1;
      if (state === 'authentic') {
        seen.lastAuthenticated = { seq: row.seq, hash: row.hash };
        pruned = furthest(pruned, prunedUpTo(row));
      }
      onRow?.(row);
      if (seen.rows % PROGRESS_EVERY !== 0) return;
      signal?.throwIfAborted();
      onProgress?.({ done: row.seq - start.seq, total: head.seq - start.seq, unit: 'rows' });
    },
  });
  for (const { firstSeq, lastSeq } of await auditLog.outliers()) findings.add('inserted', firstSeq, lastSeq);
  const missing = missingStart(start, pruned);
  const all = [...(missing === null ? [] : [missing]), ...findings.list()];
  const isFault = ({ finding }: AuditFinding) => requireAuthenticated || finding !== 'unauthenticated';
  const report = {
    ...{ head, start, ...seen, omitted: findings.omitted },
    faults: all.filter(isFault),
    unauthenticated: all.filter((one) => !isFault(one)),
  };
  return { report, pruned };
}

/** Reads the first row, and returns it with an iteration that begins with it. */
async function peeked(
  source: AsyncIterable<AuditRow>,
): Promise<{ first: AuditRow | null; rows: AsyncIterable<AuditRow> }> {
  const rest = source[Symbol.asyncIterator]();
  const { value, done } = await rest.next();
  async function* rows() {
    if (done) return;
    yield value;
    yield* { [Symbol.asyncIterator]: () => rest };
  }
  return { first: done ? null : value, rows: rows() };
}

/** Returns the row that the oldest one says is before it. */
function startBefore(first: AuditRow | null): AuditHead {
  return first === null || first.seq === 1 ? GENESIS : { seq: first.seq - 1, hash: first.previousHash };
}

/** Of two prunes at once, the shorter one may have been recorded last. */
function furthest(one: AuditHead | null, other: AuditHead | null): AuditHead | null {
  return other !== null && other.seq >= (one?.seq ?? 0) ? other : one;
}

/** Compares the missing beginning with the row that says how much was pruned. A prune may still be running. */
function missingStart(start: AuditHead, pruned: AuditHead | null): AuditFinding | null {
  const upTo = pruned?.seq ?? 0;
  if (start.seq > upTo) return { finding: 'removed', firstSeq: upTo + 1, lastSeq: start.seq };
  if (start.seq === upTo && start.hash !== (pruned?.hash ?? GENESIS.hash))
    return { finding: 'changed', firstSeq: start.seq + 1, lastSeq: start.seq + 1 };
  return null;
}

/** Keeps the keys that were found, because deriving one takes longer than checking a row. */
function remembered(findKey: AuditVerificationPorts['findKey']): AuditVerificationPorts['findKey'] {
  const known = new Map<string, MacKey>();
  return async (id) => {
    const found = known.get(id) ?? (await findKey(id));
    if (found !== null) known.set(id, found);
    return found;
  };
}
