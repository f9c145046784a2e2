import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { auditHash, GENESIS } from '../../../src/domain/audit-log/audit-chain.js';
import { PRUNE_ACTION, pruneTarget } from '../../../src/domain/audit-log/prune-row.js';
import {
  type AuditReport,
  type AuditVerificationControl,
  verifyAuditLog,
} from '../../../src/domain/audit-log/verify-audit-log.js';
import type { AuditHead, AuditRow, MacKey } from '../../../src/domain/ports/index.js';

const KEY: MacKey = { id: 'mk-1', secret: randomBytes(32) };
const CHAIN = 'chain-1';

function rowAfter(previous: AuditHead, parts: Partial<AuditRow> = {}, key: MacKey | null = KEY): AuditRow {
  const row = {
    ...{ seq: previous.seq + 1, at: 1_700_000_000, actor: 'ops', login: 'root@web-1', action: 'users.add' },
    ...{ target: `user-${previous.seq + 1}`, outcome: 'done', reason: null, macKeyId: key?.id ?? null },
    ...{ previousHash: previous.hash, ...parts },
  };
  return { ...row, hash: auditHash(row, key, CHAIN) };
}

function logOf(count: number): AuditRow[] {
  const rows: AuditRow[] = [];
  for (let index = 0; index < count; index++) rows.push(rowAfter(rows.at(-1) ?? GENESIS));
  return rows;
}

function verify(rows: readonly AuditRow[], control: AuditVerificationControl = {}): Promise<AuditReport> {
  const walk = { head: rows.at(-1) ?? GENESIS, rows };
  return verifyWalks([walk, walk], control);
}

/** Each walk reads another state of the log. */
function verifyWalks(
  walks: ReadonlyArray<{ head: AuditHead; rows: readonly AuditRow[] }>,
  control: AuditVerificationControl = {},
): Promise<AuditReport> {
  let next = 0;
  const auditLog = {
    head: async () => ({ ...(walks[next]?.head ?? GENESIS), chainId: CHAIN }),
    rows: async function* () {
      yield* walks[next++]?.rows ?? [];
    },
    outliers: async () => [],
  };
  return verifyAuditLog({ auditLog, findKey: async (id) => (id === KEY.id ? KEY : null) }, control);
}

const faultsOf = async (rows: readonly AuditRow[]) => (await verify(rows)).faults;

describe('a log without its oldest rows', () => {
  const rows = logOf(5);
  const [, , third, , last] = rows as [AuditRow, AuditRow, AuditRow, AuditRow, AuditRow];
  const pruning = (upTo: AuditHead, key: MacKey | null = KEY) =>
    rowAfter(last, { action: PRUNE_ACTION, target: pruneTarget(upTo) }, key);
  const rest = rows.slice(3);

  test('is valid if an authenticated row names the last pruned one', async () => {
    const report = await verify([...rest, pruning(third)]);
    expect(report).toMatchObject({ faults: [], start: { seq: 3, hash: third.hash }, rows: 3 });
  });

  test('is valid while a prune is removing rows, or after it was interrupted', async () => {
    expect(await faultsOf([...rows.slice(1), pruning(third)])).toEqual([]);
    expect(await faultsOf([...rows, pruning(third)])).toEqual([]);
  });

  test('is valid if a shorter prune was recorded after a longer one', async () => {
    const longer = pruning(third);
    const [first] = rows as [AuditRow];
    const shorter = rowAfter(longer, { action: PRUNE_ACTION, target: pruneTarget(first) });
    expect(await faultsOf([...rest, longer, shorter])).toEqual([]);
  });

  test('is not valid without such a row, or if more rows are missing', async () => {
    expect(await faultsOf(rest)).toEqual([{ finding: 'removed', firstSeq: 1, lastSeq: 3 }]);
    const [, second] = rows as [AuditRow, AuditRow];
    expect(await faultsOf([...rest, pruning(second)])).toEqual([
      { finding: 'removed', firstSeq: 3, lastSeq: 3 },
    ]);
  });

  test('is not valid if the row is not authenticated, was changed, or names another hash', async () => {
    const removed = { finding: 'removed', firstSeq: 1, lastSeq: 3 };
    expect(await faultsOf([...rest, pruning(third, null)])).toEqual([removed]);
    const changed = { ...pruning({ seq: 2, hash: third.hash }), target: pruneTarget(third) };
    expect(await faultsOf([...rest, changed])).toContainEqual(removed);
    const other = pruning({ seq: 3, hash: 'f'.repeat(64) });
    expect(await faultsOf([...rest, other])).toEqual([{ finding: 'changed', firstSeq: 4, lastSeq: 4 }]);
  });

  test('is not valid if a row in the rest is missing too', async () => {
    expect(await faultsOf([...rows.slice(4), pruning(third)])).toEqual([
      { finding: 'removed', firstSeq: 4, lastSeq: 4 },
    ]);
  });
});

describe('a log whose end was rewritten without a key', () => {
  const [first, second] = logOf(2) as [AuditRow, AuditRow];
  const third = rowAfter(second, { actor: 'mallory' }, null);
  const rows = [first, second, third, rowAfter(third, {}, null)];

  test('names the last authenticated row, and counts the others', async () => {
    expect(await verify(rows)).toMatchObject({
      ...{ faults: [], unauthenticatedRows: 2, lastAuthenticated: { seq: 2, hash: second.hash } },
    });
  });

  test('is not valid if all rows must be authenticated', async () => {
    const { faults } = await verify(rows, { requireAuthenticated: true });
    expect(faults).toEqual([{ finding: 'unauthenticated', firstSeq: 3, lastSeq: 4 }]);
  });
});

describe('a prune during the verification', () => {
  const rows = logOf(4);
  const [, second, third, last] = rows as [AuditRow, AuditRow, AuditRow, AuditRow];
  const prune = rowAfter(last, { action: PRUNE_ACTION, target: pruneTarget(third) });

  test.each([
    ['before the first row is read', [last]],
    ['between two pages', [rows[0] as AuditRow, last]],
    ['after a first portion', [third, last]],
  ])('is no fault: %s', async (_, read) => {
    const walks = [
      { head: last, rows: read },
      { head: prune, rows: [last, prune] },
    ];
    const seen: number[][] = [];
    const report = await verifyWalks(walks, {
      onWalk: () => {
        const seqs: number[] = [];
        seen.push(seqs);
        return ({ seq }) => seqs.push(seq);
      },
    });
    expect(report).toMatchObject({ faults: [], start: { seq: 3 } });
    expect(seen.at(-1)).toEqual([4, 5]);
  });

  test('hides no row that was removed in another way', async () => {
    const walk = { head: last, rows: [second, last] };
    expect((await verifyWalks([walk, walk])).faults).toEqual([
      { finding: 'removed', firstSeq: 1, lastSeq: 1 },
      { finding: 'removed', firstSeq: 3, lastSeq: 3 },
    ]);
  });
});

test('lists at most 1,000 findings of a kind, and counts the others', async () => {
  const rows = logOf(2_600).map((row) => (row.seq % 2 === 0 ? { ...row, actor: 'mallory' } : row));
  const { faults, omitted } = await verify(rows);
  expect([faults.length, omitted]).toEqual([1_000, 300]);
});

test('derives the key once for many rows', async () => {
  let asked = 0;
  const rows = logOf(100);
  const last = rows.at(-1) as AuditRow;
  await verifyAuditLog({
    auditLog: {
      head: async () => ({ ...last, chainId: CHAIN }),
      rows: async function* () {
        yield* rows;
      },
      outliers: async () => [],
    },
    findKey: async () => {
      asked += 1;
      return KEY;
    },
  });
  expect(asked).toBe(1);
});
