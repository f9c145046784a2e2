import { afterEach, beforeEach, expect, test } from 'vitest';
import { AuditRowBatcher } from '../../../src/domain/audit-log/audit-row-batcher.js';
import type { Database } from '../../../src/domain/ports/index.js';
import { type EmbeddedStores, openEmbeddedStores } from '../../support/embedded.js';

let stores: EmbeddedStores;

beforeEach(async () => {
  stores = await openEmbeddedStores();
});
afterEach(() => stores.close());

function row(target: string) {
  return { at: 1, actor: 'test', action: 'test', target, outcome: 'done', reason: null };
}

async function targets(): Promise<string[]> {
  const rows = await stores.db.selectFrom('audit_log').select('target').orderBy('seq').execute();
  return rows.map(({ target }) => target);
}

test('writes rows in order, and up to 64 of them in one transaction', async () => {
  let transactions = 0;
  const writer = new AuditRowBatcher({
    transaction: (work) => {
      transactions += 1;
      return stores.database.transaction(work);
    },
  });
  const names = Array.from({ length: 100 }, (_, index) => `target ${index}`);
  await Promise.all(names.map((name) => writer.append(row(name))));
  expect(transactions).toBe(2);
  await writer.append(row('last'));
  expect(transactions).toBe(3);
  expect(await targets()).toEqual([...names, 'last']);
});

test('rejects for the rows of a failed transaction only', async () => {
  const failure = new Error('The database is away.');
  let transactions = 0;
  const transaction: Database['transaction'] = (work) =>
    ++transactions === 1 ? Promise.reject(failure) : stores.database.transaction(work);
  const writer = new AuditRowBatcher({ transaction });
  const names = Array.from({ length: 65 }, (_, index) => `target ${index}`);
  const outcomes = await Promise.allSettled(names.map((name) => writer.append(row(name))));
  expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(64);
  expect(await targets()).toEqual(['target 64']);
});
