import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { insertUser } from '../support/existing-user.js';
import { openStores, type Stores } from '../support/stores.js';

const HIDDEN = [
  ...[
    ' alice',
    'alice ',
    'alice  ',
    ' ',
    'ali\u00a0ce',
    '\u00a0alice',
    'alice\u00a0',
    'ali\u202fce',
    'ali\u2007ce',
  ],
  ...[
    'ali\u200bce',
    '\u200balice',
    'alice\u200b',
    'alice\u2060',
    '\ufeffalice',
    'ali\u00adce',
    'al\u180eice',
  ],
  ...['alice\u200d', 'ali\u200cce', '\u3000alice', 'alice\u2003', '\u200b\u200b\u200b'],
];
const VISIBLE = [
  'al ice',
  'Zoë Åström',
  '愛 麗絲',
  'می\u200cخواهم',
  'क्\u200dष',
  '👨‍👩‍👧‍👦',
  'a.b-c_d',
  '"q"',
];

describe('new users with white space that people do not see', () => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'first');
  });
  afterAll(() => stores?.close());

  async function subjects(): Promise<string[]> {
    return (await stores.json('users', 'list')).map(({ sub }: { sub: string }) => sub);
  }

  test.each(HIDDEN)('%j is refused by every way to add a user', async (sub) => {
    const before = await subjects();
    for (const words of [
      ['users', 'add', sub],
      ['token', 'issue', '--sub', sub, '--create-user'],
    ]) {
      for (const dryRun of [[], ['-n']]) {
        const { exitCode, error } = await stores.run(...words, '--json', ...dryRun);
        expect({ exitCode, code: error().code }).toEqual({ exitCode: 2, code: 'ERR_SUBJECT_INVALID' });
      }
    }
    expect(await subjects()).toEqual(before);
  });

  test('they fail only their lines of a file', async () => {
    const lines = HIDDEN.map((sub) => JSON.stringify({ sub }));
    const stdin = ['{"sub":"good"}', ...lines].join('\n');
    for (const words of [
      ['users', 'import', '-'],
      ['token', 'issue', '--sub-file', '-', '--create-user'],
    ]) {
      const { exitCode, stderr } = await stores.run(...words, { stdin });
      expect(exitCode).toBe(5);
      expect(stderr).toContain(`ERR_SUBJECT_INVALID (lines 2–${HIDDEN.length + 1})`);
      expect(await subjects()).toEqual(['first', 'good']);
    }
  });

  test.each(VISIBLE)('%j is added', async (sub) => {
    expect(await stores.json('users', 'add', sub)).toMatchObject({ sub });
  });

  test.each(['alice ', 'ali\u200bce', '\u00a0bob'])(
    'the existing user %j is served, and shown escaped',
    async (sub) => {
      await insertUser(stores, sub);
      const { token } = await stores.json('token', 'issue', '--sub', sub, '--create-user');
      expect(await stores.json('token', 'verify', '-', { stdin: token })).toMatchObject({ payload: { sub } });
      const stdin = `${JSON.stringify({ sub })}\n`;
      const bulk = await stores.run('token', 'issue', '--sub-file', '-', '--create-user', '--json', {
        stdin,
      });
      expect({ exitCode: bulk.exitCode, sub: bulk.json()[0].sub }).toEqual({ exitCode: 0, sub });
      const { stdout } = await stores.run('users', 'show', sub);
      expect(stdout).not.toMatch(/[\u00a0\u200b]/);
    },
  );
});
