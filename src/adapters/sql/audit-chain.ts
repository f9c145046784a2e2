import { createHash } from 'node:crypto';
import type { AuditEntry } from '../../domain/ports.js';

/** What the first row follows. */
export const GENESIS_HASH = '0'.repeat(64);

/**
 * The hash of an audit row: SHA-256, in hex, over the JSON array of the previous row's hash, the row's number and its
 * fields in this order. A JSON array is unambiguous: no two different rows have the same text.
 */
export function auditHash(previousHash: string, seq: number, entry: AuditEntry): string {
  const { at, actor, action, target, outcome, reason } = entry;
  return createHash('sha256')
    .update(JSON.stringify([previousHash, seq, at, actor, action, target, outcome, reason]))
    .digest('hex');
}
