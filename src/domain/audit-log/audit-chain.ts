import { createHash, createHmac } from 'node:crypto';
import type { AuditChainHead, AuditHead } from '../ports/audit-log.js';
import type { AuditRow, MacKey } from '../ports/index.js';

export const GENESIS: AuditHead = { seq: 0, hash: '0'.repeat(64) };

/** Returns HMAC-SHA256 (SHA-256 without a key) of a JSON array, which differs for different rows. */
export function auditHash(row: Omit<AuditRow, 'hash'>, key: MacKey | null, chainId: string): string {
  const { previousHash, seq, macKeyId, at, actor, login, action, target, outcome, reason } = row;
  const fields = [chainId, previousHash, seq, macKeyId, at, actor, login, action, target, outcome, reason];
  const digest = key === null ? createHash('sha256') : createHmac('sha256', key.secret);
  return digest.update(JSON.stringify(fields)).digest('hex');
}

export interface AuditFinding {
  finding:
    | 'changed'
    | 'removed'
    | 'inserted'
    /** The keyring lacks the row's master key, so the row cannot be checked. */
    | 'key_unknown'
    /** A plain SHA-256: any account with write access may have written the row. Not a fault in itself. */
    | 'unauthenticated';
  firstSeq: number;
  lastSeq: number;
}

interface ChainToVerify {
  /** Ordered by `seq`. */
  rows: AsyncIterable<AuditRow> | Iterable<AuditRow>;
  /** The row before the first one. Default: the start of the log */
  start?: AuditHead;
  /** The expected last row. Only a head saved elsewhere reveals that rows were removed at the end. */
  head: AuditChainHead;
  findKey(id: string): Promise<MacKey | null>;
}

type RowState = 'authentic' | 'unauthenticated' | 'changed' | 'key_unknown';

export async function verifyAuditChain({
  rows,
  start = GENESIS,
  head,
  findKey,
}: ChainToVerify): Promise<AuditFinding[]> {
  const findings: AuditFinding[] = [];
  const found = (finding: AuditFinding['finding'], firstSeq: number, lastSeq = firstSeq) => {
    const last = findings.findLast((other) => other.finding === finding);
    if (last !== undefined && firstSeq <= last.lastSeq + 1) last.lastSeq = Math.max(last.lastSeq, lastSeq);
    else findings.push({ finding, firstSeq, lastSeq });
  };
  let previous: AuditHead & { state: RowState } = { ...start, state: 'authentic' };

  for await (const row of rows) {
    const { seq, hash } = row;
    if (seq <= previous.seq || seq > head.seq) {
      found('inserted', seq);
      continue;
    }
    let state = await stateOf(row, head.chainId, findKey);
    if (seq > previous.seq + 1) found('removed', previous.seq + 1, seq - 1);
    else if (row.previousHash !== previous.hash && state !== 'changed') {
      // One of the two rows was replaced. Trusts the one whose hash needs the key; if both or neither do, the
      // later one.
      const isBelieved = state === 'authentic' || previous.state !== 'authentic';
      if (isBelieved && previous.seq > start.seq) found('changed', previous.seq);
      else state = 'changed';
    }
    if (state !== 'authentic') found(state, seq);
    previous = { seq, hash, state };
  }

  if (previous.seq < head.seq) found('removed', previous.seq + 1, head.seq);
  else if (previous.hash !== head.hash) found('changed', head.seq);
  return findings.sort((a, b) => a.firstSeq - b.firstSeq);
}

async function stateOf(row: AuditRow, chainId: string, findKey: ChainToVerify['findKey']): Promise<RowState> {
  const key = row.macKeyId === null ? null : await findKey(row.macKeyId);
  if (key === null && row.macKeyId !== null) return 'key_unknown';
  if (auditHash(row, key, chainId) !== row.hash) return 'changed';
  return key === null ? 'unauthenticated' : 'authentic';
}
