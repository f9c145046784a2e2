import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePart } from '../support/signing.js';
import { openStores, type Stores } from '../support/stores.js';

describe('failed lines of a bulk command', () => {
  let stores: Stores;
  const unknownKey = `${encodePart({ alg: 'RS256', kid: 'unknown' })}.${encodePart({ sub: 'x' })}.AAAA`;
  const tokens = `${unknownKey}\n`.repeat(60);
  const mixed = ['a', 'zoe', 'b', 'yan', 'xi', '\u0001', 'a'].join('\n');

  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
    for (const sub of ['a', 'b']) await stores.json('users', 'add', sub);
  });
  afterAll(() => stores?.close());

  test('are grouped by code, with one example', async () => {
    const { exitCode, stderr } = await stores.run('token', 'register', '--token-file', '-', {
      stdin: tokens,
    });
    expect(exitCode).toBe(5);
    expect(stderr).toContain(
      '60 tokens: ERR_KEY_UNKNOWN (lines 1–60)\n  Line 1: No key has the kid unknown.\n',
    );
    expect(stderr.match(/No key has the kid/g)).toHaveLength(1);
  });

  test('are grouped by ranges of lines', async () => {
    const { stderr } = await stores.run('token', 'issue', '--sub-file', '-', { stdin: mixed });
    expect(stderr).toContain('3 tokens: ERR_USER_UNKNOWN (lines 2, 4–5)\n');
    expect(stderr).toContain('1 token: ERR_SUBJECT_INVALID (line 6)\n');
  });

  test('of which there are many ranges are shortened', async () => {
    const { stderr } = await stores.run('token', 'issue', '--sub-file', '-', {
      stdin: 'a\nzoe\n'.repeat(30),
    });
    expect(stderr).toContain('30 tokens: ERR_USER_UNKNOWN (lines 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, …)\n');
  });

  test('are listed one by one with --verbose, and in JSON', async () => {
    const verbose = await stores.run('token', 'register', '--token-file', '-', '-v', { stdin: tokens });
    expect(verbose.stderr.match(/^Line \d+: No key has the kid/gm)).toHaveLength(60);
    const ndjson = await stores.run('token', 'register', '--token-file', '-', '-o', 'ndjson', {
      stdin: tokens,
    });
    expect(ndjson.stderr.match(/^\{"line":\d+,"error"/gm)).toHaveLength(60);
  });

  test('answer on stdout in their places with --errors stdout', async () => {
    const words = ['token', 'issue', '--sub-file', '-', '--errors', 'stdout'];
    for (const format of [[], ['-o', 'ndjson']]) {
      const { exitCode, lines, stderr } = await stores.run(...words, ...format, { stdin: mixed });
      expect(exitCode).toBe(5);
      const answers = lines().map((line) => JSON.parse(line));
      expect(answers).toHaveLength(7);
      expect(answers.map(({ sub, error }) => sub ?? error.code)).toEqual([
        ...['a', 'ERR_USER_UNKNOWN', 'b', 'ERR_USER_UNKNOWN', 'ERR_USER_UNKNOWN', 'ERR_SUBJECT_INVALID', 'a'],
      ]);
      expect(answers[1]).toEqual({
        ...{ line: 2, error: { code: 'ERR_USER_UNKNOWN', message: 'There is no user "zoe".' } },
      });
      expect(stderr).not.toContain('"error"');
    }
    const json = await stores.run(...words, '--json', { stdin: mixed });
    expect(json.json()).toHaveLength(7);
    const quiet = await stores.run(...words, '-q', { stdin: 'a\nzoe\n' });
    expect(quiet.lines()[1]).toBe('ERR_USER_UNKNOWN');
  });

  test('of users import answer among all lines with --errors stdout', async () => {
    const stdin = 'sub\na\nnew\n" bad"\nnew-2\n';
    const { exitCode, lines, stderr } = await stores.run('users', 'import', '-', '--errors', 'stdout', {
      stdin,
    });
    expect(exitCode).toBe(5);
    expect(lines().map((line) => JSON.parse(line))).toMatchObject([
      { sub: 'a', outcome: 'existing' },
      { sub: 'new', outcome: 'added' },
      { line: 4, error: { code: 'ERR_SUBJECT_INVALID' } },
      { sub: 'new-2', outcome: 'added' },
    ]);
    expect(stderr).toContain('2 users added, 1 already existed, 1 line failed.');
  });

  test('need a file', async () => {
    for (const words of [
      ['token', 'issue', '--sub', 'a'],
      ['token', 'register', 'x'],
    ]) {
      const { exitCode, error } = await stores.run(...words, '--errors', 'stdout', '--json');
      expect({ exitCode, code: error().code }).toEqual({ exitCode: 2, code: 'ERR_FLAG_COMBINATION' });
    }
  });
});
