import type { AuditLog } from '../ports/index.js';
import type { MarkStore, StoredMarks } from '../ports/mark-store.js';
import { JwtctlError } from '../shared/errors.js';
import { parseMark, readAuthenticated, textOf } from './high-water-marks.js';
import type { MacKeySource } from './record-marks.js';

export interface ForeignMarksPorts {
  prefix: string;
  /** Null if the keyring does not exist yet. */
  macKeys: MacKeySource | null;
  /** The audit log of this installation, if it exists. */
  auditLog?: Pick<AuditLog, 'lastUpTo'> | undefined;
}

/**
 * Returns whether another installation has written the marks.
 * @throws JwtctlError if the keyring cannot be fetched and no audit log is given
 */
export async function areMarksForeign(
  stored: StoredMarks,
  { prefix, macKeys, auditLog }: ForeignMarksPorts,
): Promise<boolean> {
  if (macKeys === null) return Object.values(stored).some((text) => text !== null);
  if (stored.mark === null) return false;
  const hasKeyring = auditLog === undefined || (await macKeys.current()) !== null;
  if (hasKeyring) {
    const origin = { prefix, kind: 'mark' } as const;
    const { isAuthentic } = await readAuthenticated(stored.mark, origin, (id) => macKeys.find(id));
    if (isAuthentic) return false;
  }
  if (auditLog === undefined) return true;
  const mark = parseMark(textOf(stored.mark));
  // Any client of Redis can write a text that is not a mark.
  if (mark === null) return false;
  // The keyring may no longer have the master key of this installation's mark. The hash of the mark's audit row exists
  // in only one database.
  const row = await auditLog.lastUpTo(mark.audit.seq);
  const hasRow = row !== null && row.seq === mark.audit.seq;
  if (hasRow) return row.hash !== mark.audit.hash;
  // A host without a keyring cannot tell a database that lags behind the mark from the database of another
  // installation.
  return hasKeyring;
}

/**
 * @throws JwtctlError `ERR_REDIS_PREFIX_IN_USE` (state) if another installation has written the marks; kind `unavailable`
 * if the marks cannot be read
 */
export async function assertOwnMarks(
  marks: Pick<MarkStore, 'read'>,
  ports: ForeignMarksPorts,
): Promise<void> {
  if (await areMarksForeign(await marks.read(), ports)) throw prefixInUse(ports.prefix);
}

/** @param hint default: that of the error code */
export function prefixInUse(prefix: string, hint?: string): JwtctlError {
  return new JwtctlError(
    'ERR_REDIS_PREFIX_IN_USE',
    `Another installation uses the prefix ${prefix} in Redis: the high-water mark there is not from this installation.`,
    { hint, details: { prefix } },
  );
}
