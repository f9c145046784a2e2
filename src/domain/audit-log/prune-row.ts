import type { AuditHead, AuditRow } from '../ports/index.js';

/** The action of the row that `audit prune` writes before it removes older rows. */
export const PRUNE_ACTION = 'audit.prune';

/** Names the last removed row and its hash, so that the chain can be verified from there. */
export function pruneTarget({ seq, hash }: AuditHead): string {
  return `${seq}:${hash}`;
}

/** Returns the last row that was removed; null for a row that says nothing of the kind. */
export function prunedUpTo({ action, target }: AuditRow): AuditHead | null {
  const [, seq, hash] = /^(\d{1,16}):([0-9a-f]{64})$/.exec(action === PRUNE_ACTION ? target : '') ?? [];
  return seq === undefined || hash === undefined ? null : { seq: Number(seq), hash };
}
