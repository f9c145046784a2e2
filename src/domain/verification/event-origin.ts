import type { AuditLog, AuditRow, SecurityEvent } from '../ports/index.js';

/**
 * Finds the audit row that was written with an event: who caused it. Both have the same time. Null if the row was pruned,
 * or a recovery recorded the event again.
 */
export async function findOrigin(
  auditLog: Pick<AuditLog, 'list'>,
  event: SecurityEvent,
): Promise<AuditRow | null> {
  const target = targetOf(event);
  let near: AuditRow | null = null;
  for await (const row of auditLog.list({ since: event.at, until: event.at })) {
    if (!ENDING.test(row.action)) continue;
    if (row.target === target) return row;
    // `alice until 1796006897`, `alice except 8f14e45f`
    if (
      near === null &&
      /^ (?:until|except) \S+$/.test(row.target.slice(target.length)) &&
      row.target.startsWith(target)
    )
      near = row;
  }
  return near;
}

/** The commands that write such events. */
const ENDING = /^(?:token\.(?:revoke|refresh)|users\.|keys\.(?:compromise|purge)|db\.recover)/;

function targetOf({ type, sub, jti, kid, issuedBefore }: SecurityEvent): string {
  if (type === 'token_revoked' || type === 'family_revoked') return `${sub} ${jti}`;
  return sub ?? kid ?? `issued before ${issuedBefore}`;
}
