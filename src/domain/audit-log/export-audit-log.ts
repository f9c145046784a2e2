import type { AuditLog, AuditRow } from '../ports/index.js';

export interface ExportedAuditRow extends AuditRow {
  /** With it, a row can be verified without the database. */
  chainId: string;
}

/** Yields all rows in order, in portions. */
export async function* exportAuditLog(
  auditLog: Pick<AuditLog, 'head' | 'rows'>,
): AsyncGenerator<ExportedAuditRow[]> {
  const { chainId } = await auditLog.head();
  let portion: ExportedAuditRow[] = [];
  for await (const row of auditLog.rows()) {
    portion.push({ ...row, chainId });
    if (portion.length < PORTION) continue;
    yield portion;
    portion = [];
  }
  if (portion.length > 0) yield portion;
}

const PORTION = 1_000;
