import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const BAD_DURATIONS = [
  '0',
  '0s',
  '-1',
  '-1h',
  '1.5',
  '1.5h',
  '1y',
  '1w',
  '',
  ' ',
  '1 h',
  '1e3',
  'h',
  '1h1d',
  '1h1h',
];
const HUGE = ['99999999999999999999', `${'9'.repeat(20)}d`, 'Infinity', 'NaN', '0x10'];

describe.each(BACKENDS)('invalid arguments, on %s', (backend) => {
  let stores: Stores;
  let kid = '';
  let token = '';

  beforeAll(async () => {
    stores = await openStores(backend);
    kid = (await stores.json('keys', 'generate')).kid;
    ({ token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user'));
  });
  afterAll(() => stores?.close());

  /** Expects exit code 2, one JSON document on stderr, empty stdout, and no stack trace; also in text form. */
  async function expectUsageError(words: string[], code?: string) {
    const before = await stores.content();
    const result = await stores.run(...words, '--json');
    expect({ words, exitCode: result.exitCode, stdout: result.stdout }).toEqual({
      words,
      exitCode: 2,
      stdout: '',
    });
    expect(Object.keys(JSON.parse(result.stderr))).toEqual(['error']);
    expect(result.error().message).toMatch(/\S/);
    if (code !== undefined) expect({ words, code: result.error().code }).toEqual({ words, code });

    const text = await stores.run(...words);
    expect({ words, exitCode: text.exitCode, stdout: text.stdout }).toEqual({
      words,
      exitCode: 2,
      stdout: '',
    });
    expect(text.stderr).not.toMatch(/^\s+at /m);
    expect(text.stderr).not.toBe('');
    expect(await stores.content()).toBe(before);
    return result;
  }

  test.each([...BAD_DURATIONS, ...HUGE])('the duration %j is refused by every flag', async (duration) => {
    for (const words of [
      ['token', 'issue', '--sub', 'alice', `--ttl=${duration}`],
      ['token', 'issue', '--sub', 'alice', `--not-before=${duration}`],
      ['keys', 'rotate', `--if-older-than=${duration}`],
    ]) {
      await expectUsageError(words, 'ERR_DURATION_INVALID');
    }
    for (const flag of ['--timeout', '--token-ttl', '--keys-rotate-after', '--users-status-ttl']) {
      await expectUsageError(['keys', 'list', `${flag}=${duration}`]);
    }
  });

  // The last value would win, and the user would believe that both were revoked.
  test.each([
    ['token', 'revoke', '--sub', 'alice', '--sub', 'bob', '--all'],
    ['cache', 'flush', '--sub', 'alice', '--sub=bob', '--yes'],
    ['token', 'issue', '--sub', 'alice', '--ttl', '5m', '--ttl', '10m'],
    ['keys', 'list', '--timeout', '5s', '--timeout', '6s'],
    ['--timeout', '5s', 'keys', 'list', '--timeout', '6s'],
  ])('a repeated flag is refused: %s %s %s %s %s %s %s', async (...words) => {
    await expectUsageError(words, 'ERR_FLAG_REPEATED');
  });

  test.each([
    ['nope'],
    ['keys', 'nope'],
    ['key', 'list', 'extra'],
    ['keys', 'list', '--nope'],
    ['--nope', 'keys', 'list'],
    ['users', 'add'],
    ['users', 'add', 'a', 'b'],
    ['users', 'show'],
    ['token', 'issue'],
    ['token', 'list'],
    ['token', 'verify'],
    ['token', 'decode'],
    ['keys', 'show'],
    ['keys', 'list', '--state', 'sleeping'],
    ['keys', 'generate', '--alg', 'HS256'],
    ['keys', 'generate', '--alg', 'none'],
    ['keys', 'generate', '--count', '101'],
    ['keys', 'generate', '--bits'],
    ['cache', 'inspect', '--top', '-1'],
    ['cache', 'inspect', '--top', '1.5'],
    ['users', 'add', 'bob', '--name', ''],
    ['users', 'disable', 'alice', '--reason', 'a\nb'],
    ['users', 'add', 'bob', '--actor', ''],
    ['token', 'revoke', '--sub', 'alice', '--all', '--reason', ''],
  ])('%j %j %j %j %j is a usage error', async (...words) => {
    await expectUsageError(words.filter((word): word is string => word !== undefined));
  });

  test.each(['1024', '2047', '8193', '2048.5', '0', '-2048', 'many', '1e4', ''])(
    '--bits %j is refused',
    async (bits) => {
      await expectUsageError(['keys', 'generate', `--bits=${bits}`]);
      await expectUsageError(['keys', 'generate', `--count=${bits}`]);
    },
  );

  test.each(['', 'x'.repeat(256), 'é'.repeat(128), 'a\n', 'a\u007fb'])(
    'the kid %j is refused',
    async (kid) => {
      await expectUsageError(['keys', 'generate', `--kid=${kid}`], 'ERR_KID_INVALID');
      await expectUsageError(['token', 'revoke', `--kid=${kid}`, '--yes'], 'ERR_KID_INVALID');
      await expectUsageError(['cache', 'flush', `--kid=${kid}`, '--yes'], 'ERR_KID_INVALID');
    },
  );

  test('contradictory flags are refused', async () => {
    for (const words of [
      ...[
        ['token', 'revoke'],
        ['token', 'revoke', '--sub', 'alice'],
        ['token', 'revoke', '--all'],
      ],
      ...[
        ['token', 'revoke', '--jti', 'x'],
        ['token', 'revoke', token, '--sub', 'alice'],
      ],
      ...[
        ['token', 'revoke', token, '--all'],
        ['token', 'revoke', '--sub', 'alice', '--jti', 'x', '--all'],
      ],
      ...[
        ['token', 'revoke', '--sub', 'alice', '--kid', kid],
        ['token', 'revoke', token, '--kid', kid],
      ],
      ...[
        ['cache', 'flush'],
        ['cache', 'flush', '--all', '--sub', 'alice'],
      ],
      ...[
        ['cache', 'flush', '--all', '--issued-before', '1'],
        ['cache', 'flush', '--all', '--kid', kid],
      ],
      ...[
        ['keys', 'generate', '--kid', 'x', '--count', '2'],
        ['keys', 'rotate', '--now', '--if-older-than', '1d'],
      ],
      ...[
        ['keys', 'export', '--pem'],
        ['keys', 'export', '--kid', kid],
        ['keys', 'export', '--pem', '--jwks', '--kid', kid],
      ],
    ]) {
      await expectUsageError([...words, '--yes'], 'ERR_FLAG_COMBINATION');
    }
  });

  test.each(['yesterday', '1.5', '-1', '', '2026-13-01', '2026-01-01T00:00:00', '99999999999999'])(
    'the time %j is refused',
    async (moment) => {
      await expectUsageError(['cache', 'flush', `--issued-before=${moment}`, '--yes'], 'ERR_FLAG_INVALID');
      await expectUsageError(['token', 'revoke', `--issued-before=${moment}`, '--yes'], 'ERR_FLAG_INVALID');
    },
  );

  test('a revocation of future tokens is refused', async () => {
    const later = String(stores.clock.now() + 60);
    await expectUsageError(['token', 'revoke', '--issued-before', later, '--yes']);
  });

  test('a missing file is named', async () => {
    for (const words of [
      ...[
        ['token', 'decode'],
        ['token', 'verify'],
        ['token', 'revoke'],
      ].map((verb) => [...verb, '@no-such-file']),
      ['token', 'issue', '--sub', 'alice', '--claims', 'no-such-file'],
      ['token', 'verify', `@${stores.home}`],
    ]) {
      const { error } = await expectUsageError(words, 'ERR_FILE_UNREADABLE');
      expect(error().message).toContain(words.at(-1)?.replace('@', ''));
    }
  });

  test('an unknown output format is refused', async () => {
    const { exitCode, stdout, stderr } = await stores.run('keys', 'list', '-o', 'xml');
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain('table');
  });

  test('every spelling of the JSON flag applies to errors before the command runs', async () => {
    for (const words of [
      ['-o', 'json'],
      ['--output', 'json'],
      ['--output=json'],
      ['-ojson'],
      ['-o', 'ndjson'],
    ]) {
      for (const wrong of [
        ['keys'],
        ['keys', 'list', '--nope'],
        ['token', 'issue', '--sub', 'a', '--ttl', '0'],
      ]) {
        const { exitCode, stdout, stderr } = await stores.run(...words, ...wrong);
        expect({ words, exitCode, stdout }).toEqual({ words, exitCode: 2, stdout: '' });
        expect(JSON.parse(stderr).error.code).toMatch(/^ERR_/);
      }
    }
  });

  test('an unknown key or user exits 3 and is named', async () => {
    for (const { words, code } of [
      { words: ['keys', 'show', 'no-such-key'], code: 'ERR_KEY_UNKNOWN' },
      { words: ['keys', 'export', '--pem', '--kid', 'no-such-key'], code: 'ERR_KEY_UNKNOWN' },
      { words: ['cache', 'flush', '--kid', 'no-such-key', '--yes'], code: 'ERR_KEY_UNKNOWN' },
      { words: ['token', 'revoke', '--kid', 'no-such-key', '--yes'], code: 'ERR_KEY_UNKNOWN' },
      { words: ['users', 'show', 'zoe'], code: 'ERR_USER_UNKNOWN' },
      { words: ['users', 'disable', 'zoe'], code: 'ERR_USER_UNKNOWN' },
      { words: ['users', 'enable', 'zoe'], code: 'ERR_USER_UNKNOWN' },
      { words: ['users', 'remove', 'zoe', '--yes'], code: 'ERR_USER_UNKNOWN' },
      { words: ['token', 'issue', '--sub', 'zoe'], code: 'ERR_USER_UNKNOWN' },
      { words: ['keys', 'generate', '--kid', kid], code: 'ERR_KID_EXISTS' },
    ]) {
      const { exitCode, stdout, error } = await stores.run(...words, '--json');
      expect({ words, exitCode, stdout, code: error().code }).toEqual({
        words,
        exitCode: 3,
        stdout: '',
        code,
      });
      expect(error().message).toContain(words.find((word) => /no-such|zoe/.test(word)) ?? kid);
    }
  });

  test('an unreadable token is refused with exit code 1, not reported as a failure', async () => {
    for (const verb of ['decode', 'revoke']) {
      const { exitCode, stdout, error } = await stores.run('token', verb, '-', '--json', { stdin: '' });
      expect({ verb, exitCode, stdout, code: error().code }).toEqual({
        ...{ verb, exitCode: 1, stdout: '', code: 'ERR_TOKEN_MALFORMED' },
      });
    }
  });
});
