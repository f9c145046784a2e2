import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli, temporaryFolder } from '../../../support/cli.js';
import { failedLines, objectsIn } from '../../../support/ndjson.js';
import { freshJwk, keyOf, type PrivateJwk, pkcs8Of, writeKeyFile } from '../../../support/private-keys.js';
import { rsaPair, signJws } from '../../../support/signing.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

const DAY = 86_400;

let files = '';
let jwk: PrivateJwk;
beforeAll(() => {
  files = temporaryFolder();
  jwk = freshJwk();
});

function file(name: string, ...lines: string[]): string {
  const path = join(files, name);
  writeFileSync(path, lines.join('\n'));
  return path;
}

describe.each(BACKENDS)('token register, on %s', (backend) => {
  let stores: Stores;
  let serial = 0;

  beforeAll(async () => {
    stores = await openStores(backend);
    const pem = writeKeyFile(stores.home, 'theirs.pem', pkcs8Of(keyOf(jwk)));
    await stores.json('keys', 'import', '--pem', pem, '--kid', 'theirs');
    const subs = ['alice', 'bob', 'disabled', ...Array.from({ length: 300 }, (_, index) => `u-${index}`)];
    await stores.json('users', 'import', '-', {
      stdin: subs.map((sub) => JSON.stringify({ sub })).join('\n'),
    });
    await stores.json('users', 'disable', 'disabled');
  });
  afterAll(() => stores?.close());

  /** Registers tokens, or objects with a token, one per line. */
  function registerFile(stdin: string) {
    return stores.run('token', 'register', '--token-file', '-', '-o', 'ndjson', { stdin });
  }

  /** Signs a token as another issuer with the same key does. */
  function foreignToken(claims: Record<string, unknown> = {}, key = keyOf(jwk)): Promise<string> {
    const iat = stores.clock.now();
    serial += 1;
    const payload = { iss: 'jwtctl', aud: 'user', sub: 'alice', iat, exp: iat + 600, jti: `their-${serial}` };
    return signJws({ privateKey: key }, { alg: 'RS256', kid: 'theirs' }, { ...payload, ...claims });
  }

  async function verdict(token: string): Promise<string> {
    const { exitCode, json } = await stores.run('token', 'verify', '-', '--json', { stdin: token });
    return exitCode === 0 ? 'active' : json().error.code;
  }

  async function refusal(token: string, ...words: string[]) {
    const { exitCode, stdout, error } = await stores.run('token', 'register', '-', ...words, '--json', {
      stdin: token,
    });
    return { exitCode, stdout, code: error().code };
  }

  test('registers a token that another issuer signed with a known key', async () => {
    const token = await foreignToken({ jti: 'external' });
    expect(await verdict(token)).toBe('ERR_TOKEN_NOT_REGISTERED');
    const iat = stores.clock.now();
    const registered = { jti: 'external', kid: 'theirs', sub: 'alice', aud: 'user', iat, exp: iat + 600 };
    expect(await stores.json('token', 'register', '-', { stdin: `${token}\n` })).toEqual(registered);
    expect(await verdict(token)).toBe('active');
    expect(await stores.json('token', 'list', '--sub', 'alice')).toMatchObject([
      { jti: 'external', kid: 'theirs' },
    ]);

    expect(await stores.json('token', 'register', `@${file('token.txt', token)}`)).toEqual(registered);
    expect(await stores.json('token', 'list', '--sub', 'alice')).toHaveLength(1);
    expect((await stores.run('token', 'register', token, '-q')).stdout).toBe('external\n');
    const table = await stores.run('token', 'register', token);
    expect(table.stdout).toMatch(
      /^jti +external\nkid +theirs\nsub +alice\naud +user\nissued +now\nexpires +in 10m\n$/,
    );
    expect(table.stdout).not.toContain(token.slice(0, 20));
  });

  test('refuses an invalid token with the reason, and does not print it', async () => {
    const now = stores.clock.now();
    const refused: Array<[string, string]> = [
      ['', 'ERR_TOKEN_MALFORMED'],
      ['not a token', 'ERR_TOKEN_MALFORMED'],
      [await foreignToken({}, rsaPair().privateKey), 'ERR_SIGNATURE_INVALID'],
      [await foreignToken({ exp: now - 60 }), 'ERR_TOKEN_EXPIRED'],
      [await foreignToken({ iss: 'else' }), 'ERR_ISSUER_MISMATCH'],
      [await foreignToken({ aud: 'api' }), 'ERR_AUDIENCE_MISMATCH'],
      [await foreignToken({ jti: '' }), 'ERR_CLAIM_INVALID'],
      [await foreignToken({ jti: 'a\u001b[2J' }), 'ERR_CLAIM_INVALID'],
      [await foreignToken({ sub: 'zoe' }), 'ERR_USER_UNKNOWN'],
      [await foreignToken({ sub: 'disabled' }), 'ERR_USER_DISABLED'],
    ];
    for (const [token, code] of refused) {
      expect(await refusal(token)).toEqual({ exitCode: 1, stdout: '', code });
    }
    const { stderr } = await stores.run('token', 'register', '-', { stdin: refused[3]?.[0] ?? '' });
    expect(stderr).not.toContain(refused[3]?.[0].slice(0, 20));
  });

  test('refuses a revoked token, even if it was never registered', async () => {
    const token = await foreignToken({ jti: 'ended', sub: 'bob' });
    await stores.json('token', 'revoke', '-', { stdin: token });
    expect(await refusal(token)).toEqual({ exitCode: 1, stdout: '', code: 'ERR_TOKEN_REVOKED' });
    expect(await stores.json('token', 'list', '--sub', 'bob')).toEqual([]);
  });

  test('accepts another audience with --aud', async () => {
    const token = await foreignToken({ aud: ['api'] });
    expect(await stores.json('token', 'register', '-', '--aud', 'api', { stdin: token })).toMatchObject({
      aud: ['api'],
    });
    expect((await refusal(token, '--aud', 'other')).code).toBe('ERR_AUDIENCE_MISMATCH');
  });

  test('registers a flushed token again', async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'bob');
    await stores.json('cache', 'flush', '--sub', 'bob', '--yes');
    expect(await verdict(token)).toBe('ERR_TOKEN_NOT_REGISTERED');
    await stores.json('token', 'register', '-', { stdin: token });
    expect(await verdict(token)).toBe('active');
  });

  test('reports the effect of a long lifetime on the key', async () => {
    const token = await foreignToken({ exp: stores.clock.now() + 40 * DAY });
    const { exitCode, stderr } = await stores.run('token', 'register', '-', { stdin: token });
    expect(exitCode).toBe(0);
    expect(stderr).toContain('Key theirs now has tokens with a lifetime of up to 40d.');
    const again = await stores.run('token', 'register', '-', { stdin: token });
    expect(again.stderr).not.toContain('Key theirs');
  });

  test('registers one token per line, prints those registered, and reports which failed and why', async () => {
    const good = await Promise.all(
      Array.from({ length: 300 }, (_, index) => foreignToken({ sub: `u-${index}`, jti: `many-${index}` })),
    );
    const bad = [
      await foreignToken({ sub: 'zoe' }),
      'x.y.z',
      await foreignToken({ jti: 'ended', sub: 'bob' }),
    ];
    const lines = [
      good[0],
      bad[0],
      '',
      `${good[1]}\r`,
      bad[1],
      ...good.slice(2, 299),
      bad[2],
      good[299],
    ] as string[];
    const path = file('many.txt', ...lines);
    const first = await stores.run('token', 'register', '--token-file', path, '-o', 'ndjson');
    expect(first.exitCode).toBe(5);
    const taken = objectsIn(first.stdout);
    expect(taken.map(({ jti }) => jti)).toEqual(good.map((_, index) => `many-${index}`));
    expect(Object.keys(taken[7])).toEqual(['jti', 'kid', 'sub', 'aud', 'iat', 'exp']);
    expect(failedLines(first.stderr)).toEqual([
      [2, 'ERR_USER_UNKNOWN'],
      [5, 'ERR_TOKEN_MALFORMED'],
      [303, 'ERR_TOKEN_REVOKED'],
    ]);
    expect(objectsIn(first.stderr).at(-1)).toEqual({
      summary: { registered: 300, failed: 3, lastLine: 304, complete: true },
    });
    for (const token of [good[0], good[150], good[299]]) expect(await verdict(String(token))).toBe('active');

    const { entries } = await stores.json('cache', 'inspect');
    const again = await stores.run('token', 'register', '--token-file', '-', '-o', 'ndjson', {
      stdin: lines.join('\n'),
    });
    expect(again.stdout).toBe(first.stdout);
    const json = await stores.run('token', 'register', '--token-file', path, '--json');
    expect(json.json()).toEqual(taken);
    const quiet = await stores.run('token', 'register', '--token-file', path, '-q');
    expect(quiet.lines()).toEqual(taken.map(({ jti }) => jti));
    const table = await stores.run('token', 'register', '--token-file', path);
    expect(objectsIn(table.stdout)).toEqual(taken);
    expect(table.stderr).toContain('300 tokens registered, 3 lines failed.');
    expect((await stores.json('cache', 'inspect')).entries).toBe(entries);
  });

  test('accepts the output of a bulk issue, and names the accepted formats for other JSON', async () => {
    const printed = await stores.run('token', 'issue', '--sub-file', '-', '-o', 'ndjson', {
      stdin: 'alice\nbob\n',
    });
    const tokens = objectsIn(printed.stdout).map(({ token }) => token);
    for (const sub of ['alice', 'bob']) await stores.json('cache', 'flush', '--sub', sub, '--yes');
    expect(await Promise.all(tokens.map(verdict))).toEqual(tokens.map(() => 'ERR_TOKEN_NOT_REGISTERED'));
    const others = ['{"jti":"x"}', '{"token":5}', '[{"token":"x"},', '{"token":"x"'];
    const { exitCode, stdout, stderr } = await registerFile(
      [...printed.lines(), await foreignToken(), ...others].join('\n'),
    );
    expect({ exitCode, count: objectsIn(stdout).length }).toEqual({ exitCode: 5, count: 3 });
    expect(failedLines(stderr)).toEqual(others.map((_, index) => [4 + index, 'ERR_LINE_NO_TOKEN']));
    expect(stderr).toContain('neither a token nor a JSON object');
    expect(await Promise.all(tokens.map(verdict))).toEqual(['active', 'active']);
    const help = (await stores.run('token', 'register', '--help')).stdout;
    expect(help).toContain('NDJSON');
  });

  test('reports the effect of many lifetimes on the key once', async () => {
    const exp = stores.clock.now() + 50 * DAY;
    const tokens = [
      await foreignToken({ exp: exp - DAY }),
      await foreignToken({ exp }),
      await foreignToken(),
    ];
    const { exitCode, stderr } = await stores.run('token', 'register', '--token-file', '-', '-o', 'ndjson', {
      stdin: tokens.join('\n'),
    });
    expect({ exitCode, summary: objectsIn(stderr).at(-1) }).toEqual({
      exitCode: 0,
      summary: {
        summary: {
          ...{ registered: 3, failed: 0, lastLine: 3, complete: true },
          raised: [{ kid: 'theirs', maxTtlSeconds: 50 * DAY }],
        },
      },
    });
  });

  test('checks everything in a dry run, and changes nothing', async () => {
    const tokens = [await foreignToken({ jti: 'dry' }), await foreignToken({ sub: 'zoe' })];
    const before = await stores.content();
    const one = await stores.json('token', 'register', '-', '-n', { stdin: tokens[0] ?? '' });
    expect(one).toMatchObject({ dryRun: true, jti: 'dry' });
    const stdin = tokens.join('\n');
    const many = await stores.run('token', 'register', '--token-file', '-', '-n', { stdin });
    expect(many.exitCode).toBe(5);
    expect(objectsIn(many.stdout)).toMatchObject([{ dryRun: true, jti: 'dry' }]);
    expect(many.stderr).toContain('1 token would be registered, 1 line failed.');
    expect(await stores.content()).toBe(before);
  });

  test('counts a token that is in the file twice as registered before, even in a dry run', async () => {
    const token = await foreignToken();
    const words = ['token', 'register', '--token-file', '-', '-o', 'ndjson'];
    for (const flags of [['-n'], []]) {
      const { stderr } = await stores.run(...words, ...flags, { stdin: `${token}\n${token}\n` });
      expect(stderr).toContain('"alreadyRegistered":1');
    }
  });

  test('records one token by its jti in the audit log, and many by a row at both ends', async () => {
    await stores.json('token', 'register', '-', { stdin: await foreignToken({ jti: 'recorded' }) });
    await stores.run('token', 'register', '--token-file', '-', { stdin: `${await foreignToken()}\nx\n` });
    const rows = await stores.query(
      "SELECT target, outcome, reason FROM audit_log WHERE action = 'token.register' ORDER BY seq DESC LIMIT 3",
    );
    expect(rows.map((row) => ({ ...row }))).toEqual([
      { target: 'lines of standard input', outcome: 'partial', reason: '1 token registered, 1 line failed' },
      { target: 'lines of standard input', outcome: 'begun', reason: null },
      { target: 'alice recorded', outcome: 'done', reason: null },
    ]);
  });

  test.each([
    { name: 'a token and a file', words: ['-', '--token-file', '-'], code: 'ERR_FLAG_COMBINATION' },
    { name: 'neither', words: [], code: 'ERR_FLAG_COMBINATION' },
    {
      name: 'a file that is not there',
      words: ['--token-file', '/nowhere/at/all'],
      code: 'ERR_FILE_UNREADABLE',
    },
  ])('refuses $name before it begins', async ({ words, code }) => {
    const { exitCode, stdout, error } = await stores.run('token', 'register', ...words, '--json', {
      stdin: 'x',
    });
    expect({ exitCode, stdout, code: error().code }).toEqual({ exitCode: 2, stdout: '', code });
  });

  test('starts no further line after an interruption, and the same command does the rest', async () => {
    const interruption = new AbortController();
    const { clock, home, env } = stores;
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const tokens = [await foreignToken({ jti: 'cut-1' }), await foreignToken({ jti: 'cut-2' })];
    async function* lines() {
      yield `${tokens[0]}\n`;
      await answered;
      interruption.abort();
      yield `${tokens[1]}\n`;
    }
    const shell = cli({ clock, home, env, signal: interruption.signal, onStdout: () => answer() });
    const stdin = Readable.from(lines());
    const cut = await shell.run('token', 'register', '--token-file', '-', '-o', 'ndjson', { stdin });
    expect({ exitCode: cut.exitCode, jtis: objectsIn(cut.stdout).map(({ jti }) => jti) }).toEqual({
      ...{ exitCode: 130, jtis: ['cut-1'] },
    });
    expect(await Promise.all(tokens.map(verdict))).toEqual(['active', 'ERR_TOKEN_NOT_REGISTERED']);
    const again = await stores.run('token', 'register', '--token-file', '-', { stdin: tokens.join('\n') });
    expect(again.exitCode).toBe(0);
    expect(await Promise.all(tokens.map(verdict))).toEqual(['active', 'active']);
  });

  test('accepts a token of a retiring key only if the key outlives it', async () => {
    const now = stores.clock.now();
    const tokens = [await foreignToken({ exp: now + 49 * DAY }), await foreignToken({ exp: now + 51 * DAY })];
    await stores.json('keys', 'rotate', '--now');
    const { verifyUntil } = await stores.json('keys', 'show', 'theirs');
    expect(verifyUntil).toBeGreaterThanOrEqual(now + 50 * DAY);
    const { exitCode, stdout, stderr } = await registerFile(tokens.join('\n'));
    expect({ exitCode, count: objectsIn(stdout).length }).toEqual({ exitCode: 5, count: 1 });
    expect(failedLines(stderr)).toEqual([[2, 'ERR_KEY_NOT_TRUSTED']]);
    expect(await verdict(tokens[0] ?? '')).toBe('active');
  });
});
