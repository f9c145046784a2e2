import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const SUBS = ['alice', 'alice@example.com', 'bob', 'a_c', 'abc', '100%', '100 EUR', 'Éva'];

describe.each(BACKENDS)('--limit and --search, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
    for (const kid of ['k1', 'k2', '2026-q1']) await stores.json('keys', 'generate', '--kid', kid);
    for (const sub of SUBS) await stores.json('users', 'add', sub);
    await stores.json('users', 'add', 'carol', '--name', 'Carol Example');
    for (const device of ['iPhone', 'iPad', 'Pixel'])
      await stores.json('token', 'issue', '--sub', 'alice', '--meta', `device=${device}`);
  });
  afterAll(() => stores?.close());

  const found = async (...words: string[]) => (await stores.run(...words, '-q')).lines();

  test.each([
    { search: 'alice', subs: ['alice', 'alice@example.com'] },
    { search: 'EXAMPLE', subs: ['alice@example.com', 'carol'] },
    { search: '_', subs: ['a_c'] },
    { search: '%', subs: ['100%'] },
    { search: "' or 1=1 -- ", subs: [] },
    { search: '!', subs: [] },
    { search: '\\', subs: [] },
    { search: 'éva', subs: ['Éva'] },
    { search: 'eva', subs: [] },
  ])('users list --search $search', async ({ search, subs }) => {
    expect(await found('users', 'list', '--search', search)).toEqual(subs);
  });

  test.each([
    { words: ['keys', 'list'], search: 'Q1', ids: ['2026-q1'] },
    { words: ['keys', 'list'], search: 'active', ids: ['k1'] },
    { words: ['config', 'show'], search: 'redis_pref', ids: ['redis.prefix'] },
  ])('$words --search $search', async ({ words, search, ids }) => {
    expect(await found(...words, '--search', search)).toEqual(ids);
  });

  test('token list --search looks at the meta, but not at the subject', async () => {
    const tokens = await stores.json('token', 'list', '--sub', 'alice', '--search', 'ipa');
    expect(tokens).toMatchObject([{ meta: { device: 'iPad' } }]);
    expect((await stores.run('token', 'list', '--sub', 'alice', '--search', 'alice')).stdout).toBe(
      'Nothing matches --search.\n',
    );
  });

  test('--limit cuts a list, and only a table says so', async () => {
    const note = 'Only the first 2 are shown, because of --limit. There are more.\n';
    const words = ['users', 'list', '--limit', '2'];
    const table = await stores.run(...words);
    expect(table.lines()).toHaveLength(3);
    expect(table.stderr).toContain(note);
    for (const flags of [['--json'], ['-o', 'ndjson'], ['-q']]) {
      const { exitCode, stdout, stderr } = await stores.run(...words, ...flags);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.not.stringContaining(note) });
      expect(stdout).not.toContain('limit');
    }
    const all = await stores.json('users', 'list');
    expect(await stores.json(...words)).toEqual(all.slice(0, 2));
  });

  test('--limit says nothing if it cuts nothing', async () => {
    const { stderr, lines } = await stores.run('token', 'list', '--sub', 'alice', '--limit', '3');
    expect(lines()).toHaveLength(4);
    expect(stderr).not.toContain('--limit');
    expect((await stores.run('users', 'list', '--limit', '0')).exitCode).toBe(2);
  });
});
