import { createHash, createHmac } from 'node:crypto';
import type { AuditChainHead, AuditHead } from '../ports/audit-log.js';
import type { AuditRow, MacKey } from '../ports/index.js';
import { type AuditFinding, AuditFindings } from './audit-findings.js';

export const GENESIS: AuditHead = { seq: 0, hash: '0'.repeat(64) };

/** Returns HMAC-SHA256 (SHA-256 without a key) of a JSON array, which differs for different rows. It ends with the details, if any. */
export function auditHash(row: Omit<AuditRow, 'hash'>, key: MacKey | null, chainId: string): string {
  const {
    previousHash,
    seq,
    macKeyId,
    at,
    actor,
    login,
    action,
    target,
    outcome,
    reason,
    details = null,
  } = row;
  const fields = [chainId, previousHash, seq, macKeyId, at, actor, login, action, target, outcome, reason];
  if (details !== null) fields.push(details);
  const digest = key === null ? createHash('sha256') : createHmac('sha256', key.secret);
  return digest.update(JSON.stringify(fields)).digest('hex');
}

interface ChainToVerify {
  /** Ordered by `seq`. */
  rows: AsyncIterable<AuditRow> | Iterable<AuditRow>;
  /** The row before the first one. Default: the start of the log */
  start?: AuditHead;
  /** The expected last row. Only a head saved elsewhere reveals that rows were removed at the end. */
  head: AuditChainHead;
  findKey(id: string): Promise<MacKey | null>;
  /** Called with each row and what its own hash says. */
  onRow?(row: AuditRow, state: RowState): void;
  /** Collects the findings. Default: keeps all */
  findings?: AuditFindings;
}

type RowState = 'authentic' | 'unauthenticated' | 'changed' | 'key_unknown';

export async function verifyAuditChain({
  rows,
  start = GENESIS,
  head,
  findKey,
  onRow,
  findings = new AuditFindings(),
}: ChainToVerify): Promise<AuditFinding[]> {
  let previous: AuditHead & { state: RowState } = { ...start, state: 'authentic' };

  for await (const row of rows) {
    const { seq, hash } = row;
    if (seq <= previous.seq || seq > head.seq) {
      findings.add('inserted', seq);
      continue;
    }
    let state = await stateOf(row, head.chainId, findKey);
    onRow?.(row, state);
    if (seq > previous.seq + 1) findings.add('removed', previous.seq + 1, seq - 1);
    else if (row.previousHash !== previous.hash && state !== 'changed') {
      // One of the two rows was replaced. Trusts the one whose hash needs the key; if both or neither do, the
      // later one.
      const isBelieved = state === 'authentic' || previous.state !== 'authentic';
      if (isBelieved && previous.seq > start.seq) findings.add('changed', previous.seq);
      else state = 'changed';
    }
    if (state !== 'authentic') findings.add(state, seq);
    previous = { seq, hash, state };
  }

  if (previous.seq < head.seq) findings.add('removed', previous.seq + 1, head.seq);
  else if (previous.hash !== head.hash) findings.add('changed', head.seq);
  return findings.list();
}

async function stateOf(row: AuditRow, chainId: string, findKey: ChainToVerify['findKey']): Promise<RowState> {
  const key = row.macKeyId === null ? null : await findKey(row.macKeyId);
  if (key === null && row.macKeyId !== null) return 'key_unknown';
  if (auditHash(row, key, chainId) !== row.hash) return 'changed';
  return key === null ? 'unauthenticated' : 'authentic';
}
