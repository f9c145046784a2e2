import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { main } from '../../../../src/cli/main.js';
import { cli, temporaryFolder } from '../../../support/cli.js';
import { insertUser } from '../../../support/existing-user.js';
import { failedLines, objectsIn } from '../../../support/ndjson.js';
import { closedPorts } from '../../../support/proxies/silent-server.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';
import { runAtTerminal } from '../../../support/terminal.js';

const MANY = 700;

let files = '';
beforeAll(() => {
  files = temporaryFolder();
});

function file(name: string, ...lines: Array<string | object>): string {
  const path = join(files, name);
  writeFileSync(
    path,
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );
  return path;
}

function firstAnswer(): { answered: Promise<void>; onStdout: () => void } {
  let onStdout = () => {};
  const answered = new Promise<void>((resolve) => {
    onStdout = resolve;
  });
  return { answered, onStdout };
}

describe.each(BACKENDS)('token issue --sub-file, on %s', (backend) => {
  let stores: Stores;
  let kid = '';

  beforeAll(async () => {
    stores = await openStores(backend);
    kid = (await stores.json('keys', 'generate')).kid;
    const subs = [
      'alice',
      'bob',
      'disabled',
      '*',
      ...Array.from({ length: MANY }, (_, index) => `u-${index}`),
    ];
    await stores.json('users', 'import', '-', {
      stdin: subs.map((sub) => JSON.stringify({ sub })).join('\n'),
    });
    await insertUser(stores, ' a ');
    await stores.json('users', 'disable', 'disabled');
    stores.clock.advance(1);
  });
  afterAll(() => stores?.close());

  async function verdict(token: string): Promise<string> {
    const { exitCode, json } = await stores.run('token', 'verify', '-', '--json', { stdin: token });
    return exitCode === 0 ? 'active' : json().error.code;
  }

  async function liveTokens(): Promise<number> {
    return (await stores.json('cache', 'inspect')).entries;
  }

  test('prints a token for each valid line, in order, and reports which lines failed and why', async () => {
    const lines = [
      '\uFEFFalice\r',
      'zoe',
      '',
      'disabled\r',
      '*',
      'a\u001b[2J',
      'x'.repeat(256),
      'y'.repeat(70_000),
      ' a ',
      'alice\r',
      '\r',
      'bob',
    ];
    const before = await liveTokens();
    const { exitCode, stdout, stderr } = await stores.run(
      'token',
      'issue',
      '--sub-file',
      file('mixed', ...lines),
    );
    const issued = objectsIn(stdout);
    expect(exitCode).toBe(5);
    expect(issued.map(({ sub }) => sub)).toEqual(['alice', '*', ' a ', 'alice', 'bob']);
    for (const one of issued) {
      expect(Object.keys(one)).toEqual(['token', 'jti', 'kid', 'sub', 'aud', 'iat', 'exp']);
      expect(one).toMatchObject({ kid, aud: 'user', exp: one.iat + 3600 });
      expect(await verdict(one.token)).toBe('active');
    }
    expect(await liveTokens()).toBe(before + 5);
    expect(stderr.split('\n').filter((line) => !line.startsWith('Using the embedded'))).toEqual([
      '5 tokens issued, 5 lines failed.',
      '1 token: ERR_USER_UNKNOWN (line 2)',
      '  Line 2: There is no user "zoe".',
      '1 token: ERR_USER_DISABLED (line 4)',
      '  Line 4: The user "disabled" is disabled.',
      '2 tokens: ERR_SUBJECT_INVALID (lines 6–7)',
      '  Line 6: The subject cannot be used: it holds a control character.',
      '  Line 7: The subject cannot be used: it is 256 bytes long; at most 255 are allowed.',
      '1 token: ERR_LINE_TOO_LONG (line 8)',
      '  Line 8: The line is longer than 65536 bytes.',
      '',
    ]);
  });

  test('prints one array as JSON, an object per line as NDJSON, and only tokens with --quiet', async () => {
    const path = file('formats', 'alice', 'zoe', 'bob');
    const json = await stores.run('token', 'issue', '--sub-file', path, '--json');
    expect(json.json().map(({ sub }: { sub: string }) => sub)).toEqual(['alice', 'bob']);
    expect(objectsIn(json.stderr)).toEqual([
      { line: 2, error: { code: 'ERR_USER_UNKNOWN', message: 'There is no user "zoe".' } },
      { summary: { issued: 2, failed: 1, lastLine: 3, complete: true } },
    ]);
    const ndjson = await stores.run('token', 'issue', '--sub-file', path, '-o', 'ndjson');
    expect(objectsIn(ndjson.stdout).map(({ sub }) => sub)).toEqual(['alice', 'bob']);
    expect(failedLines(ndjson.stderr)).toEqual([[2, 'ERR_USER_UNKNOWN']]);
    const quiet = await stores.run('token', 'issue', '--sub-file', path, '-q');
    expect(quiet.stderr).toBe('1 token: ERR_USER_UNKNOWN (line 2)\n  Line 2: There is no user "zoe".\n');
    expect(await Promise.all(quiet.lines().map(verdict))).toEqual(['active', 'active']);
    const none = await stores.run('token', 'issue', '--sub-file', '-', '--json', { stdin: '' });
    expect({ exitCode: none.exitCode, json: none.json() }).toEqual({ exitCode: 0, json: [] });
  });

  test('keeps the order of more lines than a batch, and registers every token', async () => {
    const subs = Array.from({ length: 2 * MANY }, (_, index) => `u-${(index * 37) % MANY}`);
    const before = await liveTokens();
    const { exitCode, stdout, stderr } = await stores.run(
      'token',
      'issue',
      '--sub-file',
      file('many', ...subs),
      '-o',
      'ndjson',
    );
    const issued = objectsIn(stdout);
    expect({ exitCode, failures: failedLines(stderr) }).toEqual({ exitCode: 0, failures: [] });
    expect(issued.map(({ sub }) => sub)).toEqual(subs);
    expect(new Set(issued.map(({ jti }) => jti)).size).toBe(subs.length);
    expect(await liveTokens()).toBe(before + subs.length);
    for (let index = 0; index < issued.length; index += 53) {
      expect(await verdict(issued[index].token)).toBe('active');
    }
  });

  test('prefers the members of a line to the flags', async () => {
    const path = file(
      'objects.ndjson',
      { sub: 'alice' },
      {
        sub: 'alice',
        aud: 'api',
        ttl: '90s',
        notBefore: 5,
        claims: { role: 'b', own: [1] },
        meta: { device: 'own' },
      },
      { sub: 'alice', aud: ['api', 'user'], ttl: 120, notBefore: null, claims: null, meta: null },
    );
    const words = ['token', 'issue', '--sub-file', path, '--format', 'ndjson', '-o', 'ndjson'];
    const flags = [
      '--aud',
      'user',
      '--ttl',
      '10m',
      '--claim',
      'role=a',
      '--claim',
      'shared=1',
      '--meta',
      'device=all',
    ];
    const issued = objectsIn((await stores.run(...words, ...flags)).stdout);
    const payloads = [];
    for (const { token } of issued)
      payloads.push((await stores.json('token', 'decode', '-', { stdin: token })).payload);
    const { iat } = payloads[0];
    expect(payloads).toMatchObject([
      { aud: 'user', exp: iat + 600, role: 'a', shared: 1 },
      { aud: 'api', exp: iat + 90, nbf: iat + 5, role: 'b', shared: 1, own: [1] },
      { aud: ['api', 'user'], exp: iat + 120, role: 'a', shared: 1 },
    ]);
    expect(payloads[0]).not.toHaveProperty('nbf');
    const listed = await stores.json('token', 'list', '--sub', 'alice');
    const devices = new Map(listed.map((entry: Listed) => [entry.jti, entry.meta?.device]));
    expect(issued.map(({ jti }) => devices.get(jti))).toEqual(['all', 'own', 'all']);
  });

  test('refuses invalid members of an object by the rules of the flags', async () => {
    const lines = [
      { sub: 'alice', audience: 'api' },
      { sub: 'alice', ttl: 0 },
      { sub: 'alice', ttl: 1.5 },
      { sub: 'alice', ttl: 'tomorrow' },
      { sub: 'alice', ttl: true },
      { sub: 'alice', ttl: '25h' },
      { sub: 'alice', aud: [] },
      { sub: 'alice', aud: [7] },
      { sub: 'alice', claims: { iss: 'x' } },
      { sub: 'alice', claims: [1] },
      { sub: 'alice', meta: { device: 'x'.repeat(513) } },
      { sub: 'alice', meta: 7 },
      { sub: 7 },
      {},
      '"alice"',
      { sub: 'bob' },
    ];
    const path = file('refused.ndjson', ...lines);
    const { exitCode, stdout, stderr } = await stores.run(
      'token',
      'issue',
      '--sub-file',
      path,
      '--format',
      'ndjson',
      '-o',
      'ndjson',
    );
    expect({ exitCode, subs: objectsIn(stdout).map(({ sub }) => sub) }).toEqual({
      exitCode: 5,
      subs: ['bob'],
    });
    expect(failedLines(stderr).map(([, code]) => code)).toEqual([
      ...['ERR_ROW_INVALID', 'ERR_DURATION_INVALID', 'ERR_DURATION_INVALID', 'ERR_DURATION_INVALID'],
      ...['ERR_DURATION_INVALID', 'ERR_TTL_TOO_LONG', 'ERR_AUDIENCE_INVALID', 'ERR_ROW_INVALID'],
      ...['ERR_CLAIM_RESERVED', 'ERR_ROW_INVALID', 'ERR_META_INVALID', 'ERR_ROW_INVALID'],
      ...['ERR_ROW_INVALID', 'ERR_ROW_INVALID', 'ERR_LINE_NOT_JSON'],
    ]);
  });

  test('names the member whose duration is invalid', async () => {
    const lines = [{ ttl: 'tomorrow' }, { ttl: true }, { notBefore: 0 }];
    const path = file('durations.ndjson', ...lines.map((line) => ({ sub: 'alice', ...line })));
    const { stderr } = await stores.run('token', 'issue', '--sub-file', path, '--format', 'ndjson');
    for (const start of [
      "The ttl is 'tomorrow'; expected a duration",
      'The ttl is a boolean (true); expected a duration',
      "The notBefore is '0'; expected a duration",
    ])
      expect(stderr).toContain(start);
  });

  test('adds users with --create-user', async () => {
    const stdin = 'created-1\ncreated-2\ncreated-1\nalice\n';
    const without = await stores.run('token', 'issue', '--sub-file', '-', { stdin });
    expect(without.exitCode).toBe(5);
    const { exitCode, stdout } = await stores.run('token', 'issue', '--sub-file', '-', '--create-user', {
      stdin,
    });
    expect({ exitCode, subs: objectsIn(stdout).map(({ sub }) => sub) }).toEqual({
      ...{ exitCode: 0, subs: ['created-1', 'created-2', 'created-1', 'alice'] },
    });
    expect(await stores.json('users', 'show', 'created-2')).toMatchObject({ status: 'enabled', name: null });
    const { clock, home, env } = stores;
    const off = cli({ clock, home, env: { ...env, JWTCTL_USERS_SOURCE: 'off' } });
    const refused = await off.run('token', 'issue', '--sub-file', '-', '--create-user', '--json', { stdin });
    expect({ exitCode: refused.exitCode, code: refused.error().code }).toEqual({
      ...{ exitCode: 3, code: 'ERR_USERS_NOT_MANAGED' },
    });
    expect((await off.run('token', 'issue', '--sub-file', '-', { stdin: 'dave\n' })).exitCode).toBe(0);
  });

  test('shows what a dry run would sign, and changes nothing', async () => {
    const path = file('dry', 'alice', 'zoe', 'bob');
    const before = await stores.content();
    const { exitCode, stdout, stderr } = await stores.run(
      'token',
      'issue',
      '--sub-file',
      path,
      '-n',
      '-o',
      'ndjson',
    );
    expect(exitCode).toBe(5);
    expect(objectsIn(stdout)).toMatchObject([
      { dryRun: true, kid, payload: { sub: 'alice' } },
      { dryRun: true, kid, payload: { sub: 'bob' } },
    ]);
    expect(stdout).not.toContain('"token"');
    expect(objectsIn(stderr).at(-1)).toEqual({
      summary: { planned: 2, failed: 1, lastLine: 3, complete: true },
    });
    const created = await stores.run('token', 'issue', '--sub-file', path, '--dry-run', '--create-user');
    expect({ exitCode: created.exitCode, count: created.lines().length }).toEqual({ exitCode: 0, count: 3 });
    expect(created.stderr).toContain('3 tokens would be issued.');
    expect(await stores.content()).toBe(before);
  });

  test('writes one audit row when it begins and one when it ends', async () => {
    await stores.run('token', 'issue', '--sub-file', '-', { stdin: 'alice\nzoe\nbob\n' });
    const rows = await stores.query(
      "SELECT target, outcome, reason FROM audit_log WHERE action = 'token.issue' ORDER BY seq DESC LIMIT 2",
    );
    expect(rows.map((row) => ({ ...row }))).toEqual([
      { target: 'lines of standard input', outcome: 'partial', reason: '2 tokens issued, 1 line failed' },
      { target: 'lines of standard input', outcome: 'begun', reason: null },
    ]);
  });

  test.each([
    {
      name: 'both ways to name subjects',
      words: ['--sub', 'alice', '--sub-file', '-'],
      code: 'ERR_FLAG_COMBINATION',
    },
    { name: 'neither', words: [], code: 'ERR_FLAG_COMBINATION' },
    {
      name: 'a format of no file',
      words: ['--sub', 'alice', '--format', 'ndjson'],
      code: 'ERR_FLAG_COMBINATION',
    },
    {
      name: 'standard input twice',
      words: ['--sub-file', '-', '--claims', '-'],
      code: 'ERR_FLAG_COMBINATION',
    },
    {
      name: 'a lifetime that no line can have',
      words: ['--sub-file', '-', '--ttl', '25h'],
      code: 'ERR_TTL_TOO_LONG',
    },
    {
      name: 'a meta that no line can have',
      words: ['--sub-file', '-', '--meta', 'device=a\nb'],
      code: 'ERR_META_INVALID',
    },
    { name: 'a format that is none', words: ['--sub-file', '-', '--format', 'xml'], code: 'ERR_USAGE' },
    {
      name: 'a file that is not there',
      words: ['--sub-file', '/nowhere/at/all'],
      code: 'ERR_FILE_UNREADABLE',
    },
    { name: 'a folder', words: ['--sub-file', '/'], code: 'ERR_FILE_UNREADABLE' },
  ])('refuses $name before it begins', async ({ words, code }) => {
    const before = await stores.content();
    const { exitCode, stdout, error } = await stores.run('token', 'issue', ...words, '--json', {
      stdin: 'alice\n',
    });
    expect({ exitCode, stdout, code: error().code }).toEqual({ exitCode: 2, stdout: '', code });
    expect(await stores.content()).toBe(before);
  });

  test('issues valid tokens after a revocation in the same second', async () => {
    await stores.json('token', 'revoke', '--sub', 'bob', '--all', '--yes');
    const { exitCode, stdout } = await stores.run('token', 'issue', '--sub-file', '-', {
      stdin: 'alice\nbob\n',
    });
    expect(exitCode).toBe(0);
    for (const { token } of objectsIn(stdout)) expect(await verdict(token)).toBe('active');
  });

  test('starts no further line after an interruption, and prints the valid tokens of those started', async () => {
    const interruption = new AbortController();
    const { clock, home, env } = stores;
    const { answered, onStdout } = firstAnswer();
    async function* lines() {
      yield 'alice\nzoe\nbob\n';
      await answered;
      interruption.abort();
      yield 'alice\n';
    }
    const before = await liveTokens();
    const shell = cli({ clock, home, env, signal: interruption.signal, onStdout });
    const stdin = Readable.from(lines());
    const { exitCode, stdout, stderr } = await shell.run(
      ...['token', 'issue', '--sub-file', '-', '-o', 'ndjson'],
      { stdin },
    );
    const issued = objectsIn(stdout);
    expect({ exitCode, subs: issued.map(({ sub }) => sub) }).toEqual({
      exitCode: 130,
      subs: ['alice', 'bob'],
    });
    expect(await liveTokens()).toBe(before + 2);
    for (const { token } of issued) expect(await verdict(token)).toBe('active');
    expect(objectsIn(stderr).at(-1)).toEqual({
      summary: { issued: 2, failed: 1, lastLine: 3, complete: false },
    });
    const [row] = await stores.query('SELECT outcome, reason FROM audit_log ORDER BY seq DESC LIMIT 1');
    expect(row).toMatchObject({
      outcome: 'partial',
      reason: '2 tokens issued, 1 line failed; stopped after line 3',
    });
  });

  test('ends if interrupted while it waits for lines', async () => {
    const interruption = new AbortController();
    const { clock, home, env } = stores;
    const shell = cli({ clock, home, env, signal: interruption.signal });
    const stdin = new Readable({ read: () => {} });
    setImmediate(() => interruption.abort());
    const { exitCode, stdout } = await shell.run('token', 'issue', '--sub-file', '-', { stdin });
    expect({ exitCode, stdout }).toEqual({ exitCode: 130, stdout: '' });
  });

  test('ends without an error if its reader goes away', async () => {
    let stderr = '';
    const gone = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done(gone) }).on('error', () => {});
    const io = {
      stdin: Readable.from([Array.from({ length: MANY }, (_, index) => `u-${index}`).join('\n')]),
      stdout,
      stderr: new Writable({
        write: (chunk, _encoding, done) => {
          stderr += chunk;
          done();
        },
      }),
      ...{ env: stores.env, cwd: stores.home, clock: stores.clock },
    };
    expect(await main(['token', 'issue', '--sub-file', '-', '-q'], io)).toBe(0);
    expect(stderr).toBe('');
  });

  test('prints results at once, and draws no progress on the same terminal', async () => {
    const { exitCode, stdout, stderr } = await runAtTerminal(
      stores,
      'token',
      'issue',
      '--sub-file',
      file('seen', 'alice'),
    );
    expect({ exitCode, count: objectsIn(stdout).length }).toEqual({ exitCode: 0, count: 1 });
    expect(stderr).not.toContain('issuing');
  });
});

test('answers a line before the next one arrives', async () => {
  const stores = await openStores('SQLite');
  await stores.json('keys', 'generate');
  await stores.json('users', 'add', 'alice');
  const { answered, onStdout } = firstAnswer();
  async function* lines() {
    yield 'alice\n';
    await answered;
    yield 'alice\n';
  }
  const { clock, home, env } = stores;
  const shell = cli({ clock, home, env, onStdout });
  const { exitCode, stdout } = await shell.run('token', 'issue', '--sub-file', '-', {
    stdin: Readable.from(lines()),
  });
  expect({ exitCode, count: objectsIn(stdout).length }).toEqual({ exitCode: 0, count: 2 });
});

test('reads nothing without a key or a store', async () => {
  const bare = cli();
  const nowhere = await bare.run('token', 'issue', '--sub-file', '-', '--json', { stdin: 'alice\n' });
  expect({ exitCode: nowhere.exitCode, code: nowhere.error().code }).toEqual({
    exitCode: 3,
    code: 'ERR_NO_STORE',
  });
  await bare.json('users', 'add', 'alice');
  const { exitCode, error } = await bare.run('token', 'issue', '--sub-file', '-', '--json', {
    stdin: 'alice\n',
  });
  expect({ exitCode, code: error().code }).toEqual({ exitCode: 3, code: 'ERR_NO_ACTIVE_KEY' });
});

test('an unreachable registry ends the run with exit code 4, and every started line is reported', async () => {
  const stores = await openStores('MariaDB and a Redis Cluster');
  try {
    await stores.json('keys', 'generate');
    await stores.json('users', 'import', '-', { stdin: 'sub\nalice\nbob\n' });
    const [port] = await closedPorts(1);
    const { clock, home } = stores;
    const env = { ...stores.env, JWTCTL_REDIS_NODES: `127.0.0.1:${port}`, JWTCTL_TIMEOUT: '1s' };
    const { exitCode, stdout, stderr } = await cli({ clock, home, env }).run(
      ...['token', 'issue', '--sub-file', '-', '-o', 'ndjson'],
      { stdin: 'alice\nzoe\nbob\n' },
    );
    expect({ exitCode, stdout }).toEqual({ exitCode: 4, stdout: '' });
    const [failed, summary, last] = objectsIn(stderr);
    expect(failed).toMatchObject({ line: 1, lastLine: 3, error: { code: last.error.code } });
    expect(summary).toEqual({ summary: { issued: 0, failed: 3, lastLine: 3, complete: false } });
    const [row] = await stores.query('SELECT outcome FROM audit_log ORDER BY seq DESC LIMIT 1');
    expect(row).toMatchObject({ outcome: 'partial' });
  } finally {
    await stores.close();
  }
});

interface Listed {
  jti: string;
  meta: { device: string } | null;
}
