import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli, temporaryFolder } from '../../../support/cli.js';
import { failedLines } from '../../../support/ndjson.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

const HOSTILE = ['*', '{a}:b', "o'brien; --", '-x', 'Alice', '007', '__proto__', 'é', '😀', '"q"'];

let files = '';
beforeAll(() => {
  files = temporaryFolder();
});

function file(name: string, content: string | Buffer): string {
  const path = join(files, name);
  writeFileSync(path, content);
  return path;
}

function around(...parts: Array<string | Buffer>): Buffer {
  return Buffer.concat(parts.map((part) => Buffer.from(part as string)));
}

describe.each(BACKENDS)('users import, on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
  });
  afterAll(() => stores?.close());

  async function subjects(): Promise<string[]> {
    return (await stores.json('users', 'list')).map(({ sub }: { sub: string }) => sub);
  }

  test('adds the users of a CSV with any names, and reports each invalid row', async () => {
    const path = file(
      'mixed.csv',
      [
        'sub,name',
        'plain,Plain Name',
        '"quoted, sub","Li, ""the"" Lu"',
        '',
        'nameless,',
        'plain,Another Name',
        'too,many,fields',
        'alone',
        ',no subject',
        `${'x'.repeat(256)},too long`,
        'bad\u0001,control character',
        'two lines,"a\nb"',
        `long name,${'n'.repeat(256)}`,
        'last,愛麗絲 😀',
      ].join('\r\n'),
    );
    const { exitCode, json, stderr } = await stores.run('users', 'import', path, '--json');
    expect({ exitCode, json: json() }).toEqual({
      exitCode: 5,
      json: { added: 4, existing: 1, failed: 7, lastLine: 15, complete: true },
    });
    expect(failedLines(stderr)).toEqual([
      ...[
        [7, 'ERR_ROW_INVALID'],
        [8, 'ERR_ROW_INVALID'],
        [9, 'ERR_SUBJECT_INVALID'],
        [10, 'ERR_SUBJECT_INVALID'],
      ],
      ...[
        [11, 'ERR_SUBJECT_INVALID'],
        [12, 'ERR_TEXT_INVALID'],
        [14, 'ERR_TEXT_INVALID'],
      ],
    ]);
    expect((await stores.json('users', 'show', 'plain')).name).toBe('Plain Name');
    expect((await stores.json('users', 'show', 'quoted, sub')).name).toBe('Li, "the" Lu');
    expect((await stores.json('users', 'show', 'last')).name).toBe('愛麗絲 😀');
    expect(await stores.json('users', 'show', 'nameless')).toMatchObject({ name: null, status: 'enabled' });
  });

  test('reports in text which lines failed and why, without control characters', async () => {
    const path = file('words.csv', 'sub,name\nfine,Fine\n\u001b[2J,x\n');
    const { exitCode, stdout, stderr } = await stores.run('users', 'import', path);
    expect(exitCode).toBe(5);
    expect(stdout).toBe('added    1\nexisted  0\nfailed   1\n');
    expect(stderr).toContain(
      '1 user: ERR_SUBJECT_INVALID (line 3)\n  Line 3: The subject cannot be used: it holds a control character.\n',
    );
    expect(stderr).not.toContain('\u001b');
  });

  test('accepts NDJSON from standard input, and refuses unknown members', async () => {
    const stdin = [
      '\uFEFF{"sub":"n1","name":"N"}',
      ' {"sub":"n2","name":null} ',
      '',
      '{"sub":"n3","status":"disabled"}',
      '{"name":"no subject"}',
      '{"sub":7}',
      '["n4"]',
      '{"sub":"n5"',
      '{"sub":"n6","name":["x"]}',
      '{"sub":"n7","\\u001b[2J":1}',
      '{"sub":"n8"}',
    ].join('\n');
    const { exitCode, json, stderr } = await stores.run('users', 'import', '-', '--json', { stdin });
    expect({ exitCode, json: json() }).toMatchObject({
      exitCode: 5,
      json: { added: 3, failed: 7, lastLine: 11 },
    });
    expect(failedLines(stderr)).toEqual([
      ...[4, 5, 6].map((line) => [line, 'ERR_ROW_INVALID']),
      ...[7, 8].map((line) => [line, 'ERR_LINE_NOT_JSON']),
      ...[9, 10].map((line) => [line, 'ERR_ROW_INVALID']),
    ]);
    expect(stderr).not.toContain('\u001b');
    expect(await subjects()).toEqual(expect.arrayContaining(['n1', 'n2', 'n8']));
    expect(await subjects()).not.toContain('n3');
  });

  test('keeps subjects byte for byte', async () => {
    const stdin = HOSTILE.map((sub) => JSON.stringify({ sub })).join('\n');
    expect(await stores.json('users', 'import', '-', { stdin })).toMatchObject({
      added: HOSTILE.length,
      failed: 0,
    });
    expect(await subjects()).toEqual(expect.arrayContaining(HOSTILE));
  });

  test('is safe to repeat: existing users stay unchanged, and a removed user is added again', async () => {
    const path = file('again.ndjson', '{"sub":"again-1","name":"First"}\n{"sub":"again-2"}\n');
    await stores.json('users', 'import', path);
    const { token } = await stores.json('token', 'issue', '--sub', 'again-2');
    await stores.json('users', 'disable', 'again-1');
    await stores.json('users', 'remove', 'again-2', '--yes');
    const before = await stores.json('users', 'show', 'again-1');
    stores.clock.advance(5);

    expect(await stores.json('users', 'import', path)).toEqual({
      ...{ added: 1, existing: 1, failed: 0, lastLine: 2, complete: true },
    });
    expect(await stores.json('users', 'show', 'again-1')).toEqual(before);
    const [row] = await stores.query("SELECT version FROM users WHERE sub = 'again-2'");
    expect(Number(row?.version)).toBe(3);
    const { exitCode, json } = await stores.run('token', 'verify', token, '--json');
    expect({ exitCode, code: json().error.code }).toEqual({ exitCode: 1, code: 'ERR_TOKEN_REVOKED' });
    expect(await stores.json('users', 'import', path)).toMatchObject({ added: 0, existing: 2 });
  });

  test('accepts many more lines than a batch', async () => {
    const rows = Array.from({ length: 1_500 }, (_, index) => `many-${index},Name ${index}`);
    const path = file('many.csv', `sub,name\n${rows.join('\n')}\n`);
    expect(await stores.json('users', 'import', path)).toMatchObject({ added: 1_500, lastLine: 1_501 });
    expect((await subjects()).filter((sub) => sub.startsWith('many-'))).toHaveLength(1_500);
    expect((await stores.json('users', 'show', 'many-1499')).name).toBe('Name 1499');
  });

  test('reports the same counts in a dry run, and changes nothing', async () => {
    const path = file('dry.csv', 'sub\ndry-1\n\u0001\nplain\n');
    const before = await stores.content();
    const { exitCode, json } = await stores.run('users', 'import', path, '-n', '--json');
    expect({ exitCode, json: json() }).toEqual({
      exitCode: 5,
      json: { added: 1, existing: 1, failed: 1, lastLine: 4, complete: true, dryRun: true },
    });
    const { stdout, stderr } = await stores.run('users', 'import', path, '--dry-run');
    expect(stdout).toContain('would add  1');
    expect(stderr).toContain('Dry run: nothing was changed.');
    expect(await stores.content()).toBe(before);
  });

  test('writes one audit row when it begins and one when it ends', async () => {
    const path = file('audited.csv', 'sub\naudited\n\u0001\nplain\n');
    await stores.run('users', 'import', path, '--actor', 'cron');
    const rows = await stores.query(
      "SELECT actor, action, target, outcome, reason FROM audit_log WHERE action LIKE 'users.%' ORDER BY seq DESC LIMIT 2",
    );
    const row = { actor: 'cron', action: 'users.import', target: `lines of ${path}` };
    expect(rows.map((found) => ({ ...found }))).toEqual([
      { ...row, outcome: 'partial', reason: '1 user added, 1 already existed, 1 line failed' },
      { ...row, outcome: 'begun', reason: null },
    ]);
  });

  test('adds the users before a broken quote, and reports that it read no further', async () => {
    const path = file('broken.csv', 'sub,name\nbefore,B\nbroken,7" screen\nbehind,B\n');
    const { exitCode, stderr, json } = await stores.run('users', 'import', path, '--json');
    expect(exitCode).toBe(5);
    expect(json()).toMatchObject({ failed: 1, lastLine: 3, complete: false });
    expect(failedLines(stderr)).toEqual([[3, 'ERR_ROW_INVALID']]);
    expect(await subjects()).toContain('before');
    expect(await subjects()).not.toContain('behind');
  });

  test.each([
    { name: 'a header that lacks sub', content: 'login,name\na,b\n', code: 'ERR_CSV_HEADER_INVALID' },
    {
      name: 'a header with more',
      content: 'sub,name,status\na,b,disabled\n',
      code: 'ERR_CSV_HEADER_INVALID',
    },
    { name: 'an empty CSV', content: '', code: 'ERR_CSV_HEADER_INVALID' },
  ])('adds no user from $name', async ({ content, code }) => {
    const before = await subjects();
    const { exitCode, error } = await stores.run(
      'users',
      'import',
      file('header.csv', content),
      '-q',
      '-o',
      'json',
    );
    expect({ exitCode, code: error().code }).toEqual({ exitCode: 2, code });
    expect(await subjects()).toEqual(before);
  });

  test('detects the format by file name or content, or uses --format', async () => {
    const csv = 'sub,name\n{not json},x\n';
    expect(await stores.json('users', 'import', file('a.CSV', csv))).toMatchObject({ added: 1, failed: 0 });
    expect(await stores.json('users', 'import', file('b.txt', csv))).toMatchObject({
      existing: 1,
      failed: 0,
    });
    expect(await stores.json('users', 'import', '-', '--format', 'csv', { stdin: csv })).toMatchObject({
      existing: 1,
    });
    const ndjson = '\n\n {"sub":"by beginning"}\n';
    expect(await stores.json('users', 'import', '-', { stdin: ndjson })).toMatchObject({ added: 1 });
    const named = await stores.run('users', 'import', file('c.jsonl', 'sub\nalice\n'), '--json');
    expect(failedLines(named.stderr)).toEqual([1, 2].map((line) => [line, 'ERR_LINE_NOT_JSON']));
    const told = await stores.run('users', 'import', file('d.csv', ndjson), '--format', 'ndjson', '--json');
    expect(told.json()).toMatchObject({ existing: 1, failed: 0 });
    expect(await stores.json('users', 'import', '-', { stdin: '' })).toMatchObject({ added: 0, failed: 0 });
    expect((await stores.run('users', 'import', '-', '--format', 'xml')).exitCode).toBe(2);
  });

  test('adds no user from an unreadable file', async () => {
    const folder = join(files, 'folder');
    mkdirSync(folder, { recursive: true });
    for (const name of [join(files, 'absent.csv'), folder]) {
      const { exitCode, stdout, error } = await stores.run('users', 'import', name, '--json');
      expect({ exitCode, stdout, code: error().code }).toEqual({
        ...{ exitCode: 2, stdout: '', code: 'ERR_FILE_UNREADABLE' },
      });
    }
  });

  test.each([
    { format: 'CSV', before: 'sub\n', line: (sub: Buffer) => sub },
    { format: 'NDJSON', before: '', line: (sub: Buffer) => around('{"sub":"', sub, '"}') },
  ])('accepts the valid UTF-8 lines of $format', async ({ format, before, line }) => {
    const subs = [Buffer.from(`utf-1 ${format}`), Buffer.from([0xe9]), Buffer.from(`utf-é ${format}`)];
    const stdin = around(before, ...subs.map((sub) => around('', line(sub), '\n')));
    const { exitCode, json } = await stores.run('users', 'import', '-', '--json', { stdin });
    expect({ exitCode, json: json() }).toMatchObject({ exitCode: 5, json: { added: 2, failed: 1 } });
    expect(await subjects()).toEqual(expect.arrayContaining([`utf-1 ${format}`, `utf-é ${format}`]));
  });

  test('reports its progress after an interruption, and the same command does the rest', async () => {
    const interruption = new AbortController();
    const { clock, home, env } = stores;
    async function* lines() {
      yield 'sub\ncut-1\ncut-2\n';
      // When more is requested, the lines read so far are being processed.
      interruption.abort();
      yield 'cut-3\n';
    }
    const shell = cli({ clock, home, env, signal: interruption.signal });
    const stdin = Readable.from(lines());
    const { exitCode, json } = await shell.run('users', 'import', '-', '--json', { stdin });
    expect({ exitCode, complete: json().complete }).toEqual({ exitCode: 130, complete: false });
    expect(await subjects()).not.toContain('cut-3');
    const again = await stores.json('users', 'import', '-', { stdin: 'sub\ncut-1\ncut-2\ncut-3\n' });
    expect(again).toMatchObject({ complete: true, failed: 0 });
    expect(again.added + again.existing).toBe(3);
  });

  test('requires users managed by jwtctl', async () => {
    const { clock, home, env } = stores;
    const shell = cli({ clock, home, env: { ...env, JWTCTL_USERS_SOURCE: 'off' } });
    const { exitCode, error } = await shell.run('users', 'import', '-', '--json', { stdin: 'sub\nx\n' });
    expect({ exitCode, code: error().code }).toEqual({ exitCode: 3, code: 'ERR_USERS_NOT_MANAGED' });
  });
});

test('creates the embedded store, but not in a dry run', async () => {
  const shell = cli();
  const store = join(shell.home, 'data', 'jwtctl', 'jwtctl.db');
  const stdin = 'sub,name\nalice,Alice\n';
  expect(await shell.json('users', 'import', '-', '-n', { stdin })).toMatchObject({ added: 1, dryRun: true });
  expect(existsSync(store)).toBe(false);
  expect(await shell.json('users', 'import', '-', { stdin })).toMatchObject({ added: 1 });
  expect(existsSync(store)).toBe(true);
  expect(await shell.json('users', 'show', 'alice')).toMatchObject({ name: 'Alice' });
});
