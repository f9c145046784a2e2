import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';
import { runAt } from '../support/terminal.js';

/** Records what is reported. When it is drawn is tested elsewhere. */
const reported: Array<{ label: string; updates: unknown[]; isCleared: boolean }> = [];
vi.mock('../../src/cli/output/progress.js', () => ({
  openProgress: (label: string) => {
    const one = { label, updates: [] as unknown[], isCleared: false };
    reported.push(one);
    return {
      update: (...update: unknown[]) => one.updates.push(update),
      clear: () => {
        one.isCleared = true;
      },
    };
  },
}));

describe.each(BACKENDS)('the progress of a walk, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
    for (const kid of ['k1', 'k2']) await stores.json('keys', 'generate', '--kid', kid);
    await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    await stores.json('token', 'issue', '--sub', 'alice');
  });
  afterAll(() => stores?.close());
  beforeEach(() => void reported.splice(0));

  test('is reported in slots or subjects, with the number of tokens', async () => {
    await runAt({}, stores, 'cache', 'inspect');
    expect(reported).toMatchObject([{ label: 'Reading', isCleared: true }]);
    const extra = { yield: { count: 2, unit: 'tokens' } };
    expect(reported[0]?.updates.at(-1)).toEqual(
      stores.isCluster
        ? [16_384, 16_384, '', { unit: 'slots', ...extra }]
        : [1, null, '', { unit: 'subjects', ...extra }],
    );
  });

  test.each([
    { words: ['keys', 'usage'], labels: ['Counting'] },
    { words: ['token', 'revoke', '--issued-before', '1000', '--yes'], labels: ['Counting', 'Removing'] },
    { words: ['keys', 'compromise', 'k2', '--reason', 'test', '-n'], labels: ['Counting'] },
    { words: ['keys', 'compromise', 'k2', '--reason', 'test', '--yes'], labels: ['Removing, then counting'] },
  ])('is reported by $words', async ({ words, labels }) => {
    expect((await runAt({}, stores, ...words)).exitCode).toBe(0);
    expect(reported.map(({ label }) => label)).toEqual(labels);
    expect(reported.every(({ isCleared }) => isCleared)).toBe(true);
    if (stores.isCluster) expect(reported.every(({ updates }) => updates.length > 0)).toBe(true);
  });

  test('is not reported to programs or without a terminal', async () => {
    const words = ['cache', 'inspect'];
    for (const flags of [['--json'], ['-o', 'ndjson'], ['-q'], ['-q', '-o', 'table']]) {
      await runAt({}, stores, ...words, ...flags);
    }
    await runAt({ env: { TERM: 'dumb' } }, stores, ...words);
    await stores.run(...words);
    await runAt({ signal: AbortSignal.abort() }, stores, ...words, '--watch');
    expect(reported).toEqual([]);
  });
});
