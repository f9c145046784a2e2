import type { Administration, AuditEntry } from '../ports/index.js';

/** Writes one row in a transaction of its own. */
export function writeAuditRow(
  { database, clock, actor }: Pick<Administration, 'database' | 'clock' | 'actor'>,
  row: Omit<AuditEntry, 'at' | 'actor'>,
): Promise<void> {
  return database.transaction(({ auditLog }) => auditLog.append({ ...row, at: clock.now(), actor }));
}
