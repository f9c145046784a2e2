import type { AuditEntry, KeyTransition, NewSigningKey, Stores } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

/** What is to be done to the key store, as it was planned from one snapshot. */
export interface KeyChange {
  /** The snapshot's revision. */
  revision: number;
  transitions: readonly KeyTransition[];
  added: readonly NewSigningKey[];
}

/**
 * Makes a change in the transaction whose stores are given, with a row in the audit log for each key that moved and the
 * state that it came to. False, and nothing written, where the key store has changed since the snapshot.
 */
export async function changeKeys(
  { keys, auditLog }: Pick<Stores, 'keys' | 'auditLog'>,
  { revision, transitions, added }: KeyChange,
  row: Pick<AuditEntry, 'at' | 'actor' | 'action' | 'reason'>,
): Promise<boolean> {
  if (!(await keys.apply(revision, transitions))) return false;
  for (const key of added) {
    const outcome = await keys.insert(key);
    if (outcome !== 'inserted') throw new JwtctlError('ERR_BUG', `Key ${key.kid}: ${outcome}.`);
  }
  const moves = [...transitions.map(({ kid, to }) => ({ kid, state: to })), ...added];
  for (const { kid, state } of moves) await auditLog.append({ ...row, target: kid, outcome: state });
  return true;
}
