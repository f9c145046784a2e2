import type { AuditLog } from '../ports/index.js';
import type { MarkStore } from '../ports/mark-store.js';
import { JwtctlError } from '../shared/errors.js';
import { ifReachable } from '../shared/unavailable.js';
import { parseMark, readAuthenticated } from './high-water-marks.js';
import type { MacKeySource } from './record-marks.js';

export interface ForeignMarksPorts {
  marks: MarkStore;
  prefix: string;
  /** Null if the keyring does not exist yet. */
  macKeys: MacKeySource | null;
  /** That of this installation, if it has one already. */
  auditLog?: Pick<AuditLog, 'lastUpTo'> | undefined;
}

/**
 * Returns whether another installation has written the marks. False if Redis cannot be reached.
 * @throws JwtctlError if the keyring cannot be fetched
 */
export async function areMarksForeign({
  marks,
  prefix,
  macKeys,
  auditLog,
}: ForeignMarksPorts): Promise<boolean> {
  const stored = await ifReachable(() => marks.read(), null);
  if (stored === null) return false;
  if (macKeys === null) return Object.values(stored).some((text) => text !== null);
  if (stored.mark === null) return false;
  const origin = { prefix, kind: 'mark' } as const;
  const { text, isAuthentic } = await readAuthenticated(stored.mark, origin, (id) => macKeys.find(id));
  if (isAuthentic) return false;
  const mark = parseMark(text);
  if (auditLog === undefined || mark === null) return true;
  // The master key of an own mark may have left the keyring since. The hash of its audit row is in one database only.
  const row = await auditLog.lastUpTo(mark.audit.seq);
  const hasRow = row !== null && row.seq === mark.audit.seq;
  if (hasRow) return row.hash !== mark.audit.hash;
  // A host without a keyring cannot tell a database that lags behind the mark from another one.
  return (await macKeys.current()) !== null;
}

/** Throws `ERR_REDIS_PREFIX_IN_USE` (state) if another installation has written the marks. */
export async function assertOwnMarks(ports: ForeignMarksPorts): Promise<void> {
  if (await areMarksForeign(ports)) throw prefixInUse(ports.prefix);
}

/** @param hint default: that of the error code */
export function prefixInUse(prefix: string, hint?: string): JwtctlError {
  return new JwtctlError(
    'ERR_REDIS_PREFIX_IN_USE',
    `Another installation uses the prefix ${prefix} in Redis: its high-water mark cannot be verified with this master key.`,
    { hint, details: { prefix } },
  );
}
