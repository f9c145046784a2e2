import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../support/cli.js';
import { insertUser } from '../support/existing-user.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const RIGHT_TO_LEFT = '\u202e';
const ZERO_WIDTH_SPACE = '\u200b';
const NO_BREAK_SPACE = '\u00a0';
const TAG = '\u{e0041}';
const SUB = `ali${ZERO_WIDTH_SPACE}ce${NO_BREAK_SPACE}${TAG}`;
const NAME = `Alice ${RIGHT_TO_LEFT}ecilA`;
/** Characters that no output may contain. Plain letters of any script are allowed. */
const INVISIBLE = /[\p{Cf}\p{Zl}\p{Zp}\u00a0]|\p{Default_Ignorable_Code_Point}/u;

describe.each(BACKENDS)('characters that are invisible or reverse the text, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'k1');
    await insertUser(stores, SUB, NAME);
    await stores.json('users', 'add', 'Zoë Åström 鍵');
    await stores.json('token', 'issue', '--sub', SUB, '--meta', `device=on${RIGHT_TO_LEFT}phone`);
  });
  afterAll(() => stores?.close());

  test.each([
    {
      words: ['users', 'list'],
      shows: ['ali\\u200bce\\u00a0\\u{e0041}', 'Alice \\u202eecilA', 'Zoë Åström 鍵'],
    },
    { words: ['users', 'list', '-q'], shows: ['ali\\u200bce\\u00a0\\u{e0041}'] },
    { words: ['users', 'show', SUB], shows: ['ali\\u200bce', '\\u202e'] },
    { words: ['token', 'list', '--sub', SUB], shows: ['on\\u202ephone'] },
    { words: ['cache', 'inspect', '--top', '5'], shows: ['ali\\u200bce'] },
    { words: ['cache', 'inspect', '--sub', SUB], shows: ['ali\\u200bce'] },
    { words: ['users', 'add', SUB], shows: ['U+200B'] },
    { words: ['users', 'show', `${SUB}2`], shows: ['ali\\u200bce'] },
    { words: ['cache', 'flush', '--sub', SUB, '--no-input'], shows: ['ali\\u200bce'] },
    { words: ['keys', 'show', `k1${RIGHT_TO_LEFT}`], shows: ['\\u202e'] },
  ])('are escaped by $words.0 $words.1', async ({ words, shows }) => {
    const { stdout, stderr } = await stores.run(...words);
    for (const text of shows) expect(stdout + stderr).toContain(text);
    expect((stdout + stderr).replaceAll('\n', '')).not.toMatch(INVISIBLE);
  });

  test('are escaped in JSON without changing the value', async () => {
    for (const format of ['json', 'ndjson']) {
      const { stdout } = await stores.run('users', 'show', SUB, '-o', format);
      expect(JSON.parse(stdout)).toMatchObject({ sub: SUB, name: NAME });
      expect(stdout).toContain('ali\\u200bce\\u00a0\\udb40\\udc41');
      expect(stdout.trim()).not.toMatch(INVISIBLE);
    }
    const refused = await stores.run('users', 'show', `${SUB}2`, '--json');
    expect(refused.error().message).toContain(SUB);
    expect(refused.stderr.trim()).not.toMatch(INVISIBLE);
  });
});

test('file names are escaped in messages', async () => {
  const { exitCode, stderr } = await cli().run('token', 'decode', `@no${RIGHT_TO_LEFT}txt.exe`);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('no\\u202etxt.exe');
});
