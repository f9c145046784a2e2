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
  /** Rows of hosts without a keyring. */
  unauthenticated: AuditFinding[];
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
  /** Called with each row of the chain, in order. */
  onRow?: ((row: AuditRow) => void) | undefined;
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
  { signal, onRow, onProgress }: AuditVerificationControl = {},
): Promise<AuditReport> {
  const head = await auditLog.head();
  const range = { firstSeq: 1, lastSeq: head.seq };
  const start = await startOf(auditLog.rows(range));
  const findings = new AuditFindings(MOST_LISTED);
  let rows = 0;
  let pruned: AuditHead | null = null;
  await verifyAuditChain({
    ...{ head, start, findings, rows: auditLog.rows(range), findKey: remembered(findKey) },
    onRow: (row, state) => {
      if (state === 'authentic') pruned = furthest(pruned, prunedUpTo(row));
      rows += 1;
      onRow?.(row);
      if (rows % PROGRESS_EVERY !== 0) return;
      signal?.throwIfAborted();
      onProgress?.({ done: row.seq - start.seq, total: head.seq - start.seq, unit: 'rows' });
    },
  });
  for (const { firstSeq, lastSeq } of await auditLog.outliers()) findings.add('inserted', firstSeq, lastSeq);
  const missing = missingStart(start, pruned);
  const all = [...(missing === null ? [] : [missing]), ...findings.list()];
  const isFault = ({ finding }: AuditFinding) => finding !== 'unauthenticated';
  return {
    ...{ head, start, rows, omitted: findings.omitted },
    faults: all.filter(isFault),
    unauthenticated: all.filter((one) => !isFault(one)),
  };
}

/** Returns the row that the oldest one says is before it. */
async function startOf(rows: AsyncIterable<AuditRow>): Promise<AuditHead> {
  for await (const { seq, previousHash } of rows) {
    return seq === 1 ? GENESIS : { seq: seq - 1, hash: previousHash };
  }
  return GENESIS;
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
