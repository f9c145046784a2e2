import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { cli } from '../../support/cli.js';
import { BIN } from '../../support/spawned.js';
import { openStores } from '../../support/stores.js';

const shell = cli();
let kid: string;

beforeAll(async () => {
  kid = (await shell.json('keys', 'generate')).kid;
  await shell.json('users', 'add', 'alice@example.com');
  await shell.json('users', 'add', 'bob');
});

/** Returns what can stand in place of the last word. */
async function complete(...words: string[]) {
  const { exitCode, stdout, stderr } = await shell.run('completion', 'bash', '--', ...words);
  expect(exitCode, stderr).toBe(0);
  return stdout.split('\n').filter((line) => line !== '');
}

const values = (lines: readonly string[]) => lines.map((line) => line.split('\t')[0]);

test('completes commands and verbs, with their descriptions', async () => {
  expect(await complete('ke')).toEqual(['keys\tManage signing keys']);
  expect(values(await complete('keys', 're'))).toEqual(['retire', 'rewrap']);
  expect(await complete('keys', 'list', '')).toEqual([]);
});

test('completes flags of the command, global flags, and no hidden ones', async () => {
  const flags = values(await complete('keys', 'list', '--'));

  expect(flags).toEqual(expect.arrayContaining(['--state', '--limit', '--json', '--help']));
  expect(flags).not.toContain('--mysql-url');
});

test.each([
  [['keys', 'list', '--state', 'ac'], ['active']],
  [['keys', 'list', '--state=ac'], ['--state=active']],
  [['-o', 'j'], ['json']],
  [['completion', 'z'], ['zsh']],
  [['help', 'ERR_NO_STORE'], ['ERR_NO_STORE']],
  [['help', 'exit'], ['exit-codes']],
  [['help', 'ke'], ['keys']],
])('completes the value in %j', async (words, expected) => {
  expect(values(await complete(...words))).toEqual(expected);
});

test('asks for files where a file is expected', async () => {
  expect(await complete('keys', 'import', '--pem', '')).toEqual([':files']);
  expect(await complete('cache', 'restore', 'ba')).toEqual([':files']);
});

test('completes key IDs, and subjects from their first character', async () => {
  expect(await complete('keys', 'show', kid.slice(0, 3))).toEqual([`${kid}\tactive`]);
  expect(values(await complete('token', 'issue', '--sub', 'al'))).toEqual(['alice@example.com']);
  expect(await complete('users', 'show', '')).toEqual([]);
});

test('completes subjects of the table in users.table, whatever the order of its collation', async () => {
  const stores = await openStores('SQLite');
  try {
    await stores.json('keys', 'generate');
    await stores.query('CREATE TABLE accounts (login TEXT COLLATE NOCASE)');
    await stores.query("INSERT INTO accounts VALUES ('aaron'), ('alice'), ('Alfred'), ('alma'), ('bob')");
    Object.assign(stores.env, {
      JWTCTL_USERS_SOURCE: 'table',
      ...{ JWTCTL_USERS_TABLE: 'accounts', JWTCTL_USERS_COLUMN: 'login' },
    });
    const words = ['completion', 'bash', '--', 'token', 'list', '--sub', 'al'];
    // A busy host may be too slow at first.
    await vi.waitFor(
      async () => expect((await stores.run(...words)).stdout).toBe('alice\tenabled\nalma\tenabled\n'),
      { timeout: 15_000 },
    );
  } finally {
    await stores.close();
  }
});

test('completes profiles of the configuration', async () => {
  const config = join(shell.home, 'profiles.yaml');
  writeFileSync(config, 'profiles: { staging: {}, production: {} }\n', { mode: 0o600 });

  const { stdout } = await shell.run('completion', 'bash', '--', '--config', config, '--profile', 's');

  expect(stdout).toBe('staging\n');
});

test('reads the store that the words select', async () => {
  const other = cli();
  await other.json('keys', 'generate', '--kid', 'other-key');
  const data = join(other.home, 'data', 'jwtctl', 'jwtctl.db');
  const config = join(shell.home, 'other.yaml');
  writeFileSync(config, `profiles: { other: { data: ${data} } }\n`, { mode: 0o600 });
  const show = ['keys', 'show', ''];

  for (const flags of [['--data', data], [`--data=${data}`], ['--config', config, '--profile=other']])
    expect(values(await complete(...flags, ...show))).toEqual(['other-key']);
  expect(await complete('keys', 'show', '--profile', 'unknown', '')).toEqual([]);
  expect(values(await complete(...show))).toEqual([kid]);
});

test.each([
  'mysql: { url: "mysql://a@127.0.0.1:1/b", passwordCommand: COMMAND }\nredis: { nodes: "127.0.0.1:1" }',
  'masterKey: { command: COMMAND }',
])('runs no command of the settings: %s', async (settings) => {
  const config = join(shell.home, 'command.yaml');
  const ran = join(shell.home, 'ran');
  writeFileSync(config, settings.replace('COMMAND', `"touch ${ran}"`), { mode: 0o600 });

  expect(await complete('--config', config, 'keys', 'show', '')).toEqual([]);
  expect(existsSync(ran)).toBe(false);
});

test('says nothing without a store, and creates none', async () => {
  const empty = cli();

  const { exitCode, stdout, stderr } = await empty.run('completion', 'bash', '--', 'keys', 'show', '');

  expect({ exitCode, stdout: stdout.trim() }).toEqual({ exitCode: 0, stdout: '' });
  expect(stderr).not.toContain('ERR_');
  expect(readdirSync(empty.home, { recursive: true }).filter((name) => String(name).endsWith('.db'))).toEqual(
    [],
  );
});

/** Returns what bash offers for the line. `jwtctl` is the body of the function that the script calls. */
async function inBash(line: string, jwtctl = `${quoted(process.execPath)} ${quoted(BIN)} "$@"`) {
  const { stdout: script } = await shell.run('completion', 'bash');
  const program = `
    jwtctl() { ${jwtctl}; }
    ${script}
    COMP_LINE=$1 COMP_POINT=\${#1}
    _jwtctl
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', program, 'bash', line], {
    encoding: 'utf8',
    env: { ...shell.env, HOME: shell.home, PATH: process.env.PATH },
  });
  expect(stderr).toBe('');
  return stdout.trim().split('\n');
}

const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

test.each([
  ['jwtctl ke', ['keys']],
  ['jwtctl keys list --state=ac', ['active']],
  ['jwtctl users show alice@ex', ['example.com']],
  ['jwtctl users ', ['add', 'list', 'show', 'disable', 'enable', 'remove', 'refresh', 'import']],
])('bash completes %j', async (line, expected) => {
  expect(await inBash(line)).toEqual(expected);
});

/** Unquoted, bash would run a command in them, or split them. */
const HOSTILE = ['eve$(id)', 'eve`id`', 'eve;id', 'eve id', "eve'", 'eve|id', 'eve\\'];

test('offers no value from the store that a shell could run', async () => {
  for (const sub of HOSTILE) await shell.json('users', 'add', sub);
  await shell.json('users', 'add', 'eve.1@example.com');

  expect(values(await complete('users', 'show', 'eve'))).toEqual(['eve.1@example.com']);
  expect(await inBash('jwtctl users show eve')).toEqual(['eve.1@example.com']);
});

test('offers no profile that is a flag', async () => {
  const config = join(shell.home, 'hostile.yaml');
  writeFileSync(config, 'profiles: { "--all": {}, staging: {} }\n', { mode: 0o600 });

  const { stdout } = await shell.run('completion', 'bash', '--', '--config', config, '--profile', '');

  expect(stdout).toBe('staging\n');
});

test.each(HOSTILE)('bash quotes %j', async (sub) => {
  const [offered = ''] = await inBash('jwtctl users show eve', `printf '%s\\n' ${quoted(sub)}`);

  const { stdout } = spawnSync('bash', ['-c', `printf '%s|' ${offered}`], { encoding: 'utf8' });
  expect(stdout).toBe(`${sub}|`);
});
