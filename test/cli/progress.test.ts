import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';
import { runAt } from '../support/terminal.js';

/** What was told of how far things are: whether it is drawn in time is none of these tests' concern. */
const told: Array<{ label: string; updates: unknown[]; isStopped: boolean }> = [];
vi.mock('../../src/cli/output/progress.js', () => ({
  openProgress: (label: string) => {
    const one = { label, updates: [] as unknown[], isStopped: false };
    told.push(one);
    return {
      update: (...update: unknown[]) => one.updates.push(update),
      stop: () => {
        one.isStopped = true;
      },
    };
  },
}));

describe.each(BACKENDS)('how far a walk is, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
    for (const kid of ['k1', 'k2']) await stores.json('keys', 'generate', '--kid', kid);
    await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    await stores.json('token', 'issue', '--sub', 'alice');
  });
  afterAll(() => stores?.close());
  beforeEach(() => void told.splice(0));

  test('is told in slots or subjects, with the tokens so far', async () => {
    await runAt({}, stores, 'cache', 'inspect');
    expect(told).toMatchObject([{ label: 'Reading', isStopped: true }]);
    const extra = { yield: { count: 2, unit: 'tokens' } };
    expect(told[0]?.updates.at(-1)).toEqual(
      stores.isCluster
        ? [16_384, 16_384, '', { unit: 'slots', ...extra }]
        : [1, null, '', { unit: 'subjects', ...extra }],
    );
  });

  test.each([
    { words: ['keys', 'usage'], labels: ['Counting'] },
    { words: ['token', 'revoke', '--issued-before', '1000', '--yes'], labels: ['Counting', 'Removing'] },
    { words: ['keys', 'compromise', 'k2', '--reason', 'test', '-n'], labels: ['Counting'] },
    { words: ['keys', 'compromise', 'k2', '--reason', 'test'], labels: ['Removing, then counting'] },
  ])('is told by $words', async ({ words, labels }) => {
    expect((await runAt({}, stores, ...words)).exitCode).toBe(0);
    expect(told.map(({ label }) => label)).toEqual(labels);
    expect(told.every(({ isStopped }) => isStopped)).toBe(true);
    if (stores.isCluster) expect(told.every(({ updates }) => updates.length > 0)).toBe(true);
  });

  test('is not told to programs, nor where nobody could see it', async () => {
    const words = ['cache', 'inspect'];
    for (const flags of [['--json'], ['-o', 'ndjson'], ['-q'], ['-q', '-o', 'table']]) {
      await runAt({}, stores, ...words, ...flags);
    }
    await runAt({ env: { TERM: 'dumb' } }, stores, ...words);
    await stores.run(...words);
    await runAt({ signal: AbortSignal.abort() }, stores, ...words, '--watch');
    expect(told).toEqual([]);
  });
});
