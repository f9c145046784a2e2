import { createHash, createHmac, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { auditHash, GENESIS, verifyAuditChain } from '../../../src/domain/audit-log/audit-chain.js';
import type { AuditFinding } from '../../../src/domain/audit-log/audit-findings.js';
import type { AuditHead } from '../../../src/domain/ports/audit-log.js';
import type { AuditRow, MacKey } from '../../../src/domain/ports/index.js';

const KEYS: MacKey[] = ['mk-1', 'mk-2'].map((id) => ({ id, secret: randomBytes(32) }));
const CHAIN = 'chain-1';
const [ONE, TWO] = KEYS as [MacKey, MacKey];

test('hashes the JSON array of the fields, with HMAC-SHA256 under a key and SHA-256 without one', () => {
  const row = {
    ...{ previousHash: 'a'.repeat(64), seq: 7, at: 1_700_000_007, actor: 'ops', login: 'root@web-1' },
    ...{ action: 'keys.rotate', target: 'k1', outcome: 'active', reason: null },
  };
  const json = (macKeyId: string | null) =>
    `["chain-1","${'a'.repeat(64)}",7,${JSON.stringify(macKeyId)},1700000007,"ops","root@web-1","keys.rotate","k1","active",null]`;

  expect(auditHash({ ...row, macKeyId: ONE.id }, ONE, CHAIN)).toBe(
    createHmac('sha256', ONE.secret).update(json(ONE.id)).digest('hex'),
  );
  expect(auditHash({ ...row, macKeyId: null }, null, CHAIN)).toBe(
    createHash('sha256').update(json(null)).digest('hex'),
  );
});

/** A log of one row per key: `null` for a host without the keyring. */
function logOf(...keys: ReadonlyArray<MacKey | null>): AuditRow[] {
  const rows: AuditRow[] = [];
  for (const key of keys) rows.push(rowAfter(rows.at(-1) ?? GENESIS, key));
  return rows;
}

function rowAfter(previous: AuditHead, key: MacKey | null, parts: Partial<AuditRow> = {}): AuditRow {
  const seq = previous.seq + 1;
  const fields = { at: 1_700_000_000 + seq, actor: 'ops', login: 'root@web-1', action: 'users.disable' };
  return hashed(
    {
      ...fields,
      ...{ seq, target: `user-${seq}`, outcome: 'done', reason: null, macKeyId: key?.id ?? null },
      ...{ previousHash: previous.hash, hash: '' },
      ...parts,
    },
    key,
  );
}

function hashed(row: AuditRow, key: MacKey | null): AuditRow {
  return { ...row, hash: auditHash(row, key, CHAIN) };
}

function verify(rows: AuditRow[], head?: AuditHead, start?: AuditHead): Promise<AuditFinding[]> {
  return verifyAuditChain({
    rows: [...rows].sort((a, b) => a.seq - b.seq),
    head: { ...(head ?? rows.at(-1) ?? GENESIS), chainId: CHAIN },
    ...(start === undefined ? {} : { start }),
    findKey: async (id) => KEYS.find((key) => key.id === id) ?? null,
  });
}

/** `changed 3`, `removed 2-4` */
async function findingsOf(rows: AuditRow[], head?: AuditHead, start?: AuditHead): Promise<string[]> {
  return (await verify(rows, head, start)).map(({ finding, firstSeq, lastSeq }) =>
    firstSeq === lastSeq ? `${finding} ${firstSeq}` : `${finding} ${firstSeq}-${lastSeq}`,
  );
}

function replaced(rows: AuditRow[], seq: number, row: AuditRow): AuditRow[] {
  return rows.map((other) => (other.seq === seq ? row : other));
}

/**
 * Rewrites the log like an attacker with the database but no key: chains each later row again with SHA-256.
 */
function rechained(rows: AuditRow[], from: number): AuditRow[] {
  const made = rows.slice(0, from - 1);
  for (const row of rows.slice(from - 1)) {
    const previousHash = (made.at(-1) ?? GENESIS).hash;
    made.push(hashed({ ...row, previousHash, macKeyId: null }, null));
  }
  return made;
}

function at(rows: AuditRow[], seq: number): AuditRow {
  const row = rows.find((candidate) => candidate.seq === seq);
  if (row === undefined) throw new Error(`There is no row ${seq}.`);
  return row;
}

test('an empty log and a log under several keys verify', async () => {
  expect(await findingsOf([])).toEqual([]);
  expect(await findingsOf(logOf(ONE, ONE, TWO, ONE))).toEqual([]);
});

test('rows of hosts without the keyring are listed', async () => {
  expect(await findingsOf(logOf(null, null, ONE, null, ONE, null))).toEqual([
    ...['unauthenticated 1-2', 'unauthenticated 4', 'unauthenticated 6'],
  ]);
});

test('rows whose master key is not in the keyring are listed, and the rows around them are checked', async () => {
  const lost = { id: 'mk-lost', secret: randomBytes(32) };
  const rows = logOf(ONE, lost, lost, ONE, ONE);

  expect(await findingsOf(rows)).toEqual(['key_unknown 2-3']);
  expect(await findingsOf(replaced(rows, 5, { ...at(rows, 5), target: 'z' }))).toEqual([
    ...['key_unknown 2-3', 'changed 5'],
  ]);
  expect(await findingsOf(replaced(rows, 3, rowAfter(at(rows, 2), lost, { target: 'z' })))).toEqual([
    ...['key_unknown 2-3', 'changed 3'],
  ]);
});

describe('an attacker with the database but no key', () => {
  const rows = logOf(ONE, ONE, ONE, ONE, ONE);

  test('changes a row: it is reported', async () => {
    expect(await findingsOf(replaced(rows, 3, { ...at(rows, 3), target: 'z' }))).toEqual(['changed 3']);
  });

  test('changes a row and marks it unauthenticated with a valid hash: it is reported', async () => {
    const row = rowAfter(at(rows, 2), null, { target: 'z' });
    expect(await findingsOf(replaced(rows, 3, row))).toEqual(['unauthenticated 3', 'changed 3']);
  });

  test('changes a row and invents a hash for the id of a key: it is reported', async () => {
    const forged = rowAfter(at(rows, 2), { id: ONE.id, secret: randomBytes(32) }, { target: 'z' });
    expect(await findingsOf(replaced(rows, 3, forged))).toEqual(['changed 3']);
  });

  test('changes the last row and the head: it is reported', async () => {
    const forged = { ...at(rows, 5), target: 'z' };
    expect(await findingsOf(replaced(rows, 5, forged))).toEqual(['changed 5']);
  });

  test('swaps two rows: both are reported', async () => {
    const swapped = rows.map((row) =>
      row.seq === 2 ? { ...at(rows, 3), seq: 2 } : row.seq === 3 ? { ...at(rows, 2), seq: 3 } : row,
    );
    expect(await findingsOf(swapped)).toEqual(['changed 2-3']);
  });

  test('puts back a row from before the log was restored: it is reported', async () => {
    const fork = rowAfter(at(rows, 2), ONE, { target: 'before the restore' });
    expect(await findingsOf(replaced(rows, 3, fork))).toEqual(['changed 3']);
  });

  test('removes rows in the middle, at the beginning, or at the end: they are reported', async () => {
    const without = (...seqs: number[]) => rows.filter(({ seq }) => !seqs.includes(seq));
    expect(await findingsOf(without(2, 4), at(rows, 5))).toEqual(['removed 2', 'removed 4']);
    expect(await findingsOf(without(1, 2), at(rows, 5))).toEqual(['removed 1-2']);
    expect(await findingsOf(without(4, 5), at(rows, 5))).toEqual(['removed 4-5']);
    expect(await findingsOf([], at(rows, 5))).toEqual(['removed 1-5']);
  });

  test('removes a row and closes the gap: every moved row is reported', async () => {
    const moved = rows
      .filter(({ seq }) => seq !== 2)
      .map((row, index, all) => ({
        ...row,
        seq: index + 1,
        previousHash: all[index - 1]?.hash ?? GENESIS.hash,
      }));
    expect(await findingsOf(moved)).toEqual(['changed 2-4']);
  });

  test('inserts a row before the first one or after the head: it is reported', async () => {
    const extra = rowAfter(at(rows, 5), null);
    expect(await findingsOf([...rows, extra], at(rows, 5))).toEqual(['inserted 6']);
    expect(await findingsOf([rowAfter({ seq: -1, hash: GENESIS.hash }, null), ...rows])).toEqual([
      'inserted 0',
    ]);
  });

  test('inserts a row and moves the others: every moved row is reported', async () => {
    const inserted = rowAfter(at(rows, 2), null, { target: 'z' });
    const moved = rows.slice(2).map((row) => ({ ...row, seq: row.seq + 1 }));
    expect(await findingsOf([...rows.slice(0, 2), inserted, ...moved])).toEqual([
      ...['unauthenticated 3', 'changed 4-6'],
    ]);
  });

  test('rewrites the log from one row on: these rows are unauthenticated', async () => {
    expect(await findingsOf(rechained(rows, 3))).toEqual(['unauthenticated 3-5']);
    expect(await findingsOf(rechained(rows.slice(0, 4), 3))).toEqual(['unauthenticated 3-4']);
  });

  test('cuts off the end and moves the head: a head saved elsewhere reveals it', async () => {
    expect(await findingsOf(rows.slice(0, 3))).toEqual([]);
    expect(await findingsOf(rows.slice(0, 3), at(rows, 5))).toEqual(['removed 4-5']);
    const other = logOf(ONE, ONE, ONE, ONE, null);
    expect(await findingsOf(other, at(rows, 5))).toEqual(['unauthenticated 5', 'changed 5']);
  });
});

test('a log without its beginning is checked from a given row on', async () => {
  const rows = logOf(ONE, ONE, ONE, ONE);
  const end = at(rows, 4);

  expect(await findingsOf(rows.slice(2), end, at(rows, 2))).toEqual([]);
  expect(await findingsOf(rows.slice(2), end, { seq: 2, hash: GENESIS.hash })).toEqual(['changed 3']);
  expect(await findingsOf(rows.slice(3), end, at(rows, 2))).toEqual(['removed 3']);
  expect(await findingsOf(rows.slice(1), end, at(rows, 2))).toEqual(['inserted 2']);
});
