import { existsSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cli, cli, everythingPrinted } from '../../support/cli.js';
import { closedPorts } from '../../support/proxies/silent-server.js';
import { runOnTerminal, type Step } from '../../support/pseudo-terminal.js';
import { administer } from '../../support/servers.js';
import { openStores, type Stores, writeMasterKey } from '../../support/stores.js';

const ENTER = '\r';
const UP = '\x1b[A';
const DOWN = '\x1b[B';
const CTRL_C = '\x03';

/** A command line without settings, which writes below its home folder. */
function freshShell(env: Record<string, string> = {}): Cli & { file: string } {
  const shell = cli({ env });
  const file = join(shell.home, 'config.yaml');
  return Object.assign(shell, { file });
}

/** Names the file, because root would choose the one of the system. */
const answering = (shell: Cli & { file: string }, steps: Step[], ...words: string[]) =>
  runOnTerminal({ env: shell.env, cwd: shell.home }, steps, 'init', '--config', shell.file, ...words);

const EMBEDDED: Step[] = [
  ['Where to keep', ENTER],
  ['File of the embedded store', ENTER],
  ['Where is the master key', ENTER],
  ['Master key file', ENTER],
  ['Issuer', ENTER],
  ['Audience', ENTER],
  ['Lifetime', ENTER],
  ['Longest lifetime', ENTER],
  ['config.yaml?', ENTER],
].map(([waitFor = '', type = '']) => ({ waitFor, type }));

describe('init, with an embedded store', () => {
  test('needs only Enter, and explains each setting in a file that only the account can read', async () => {
    const shell = freshShell();
    const { exitCode, output } = await answering(shell, EMBEDDED);
    expect(exitCode, output).toBe(0);
    expect(output.match(/token\.maxTtl/g)).toHaveLength(1);
    expect(output.trim().split('\n').at(-1)?.trim()).toBe(
      `Next: run \`jwtctl keys generate --config ${shell.file}\`.`,
    );
    expect(statSync(shell.file).mode & 0o777).toBe(0o600);
    expect(readFileSync(shell.file, 'utf8')).toMatch(
      /# Lifetime of tokens issued without --ttl\.\n {2}ttl: 1h\n/,
    );
    const { settings } = await shownBy(shell);
    expect(statSync(String(settings['masterKey.file'])).mode & 0o777).toBe(0o600);
    expect(await shell.json('keys', 'generate', '--config', shell.file)).toMatchObject({ state: 'active' });
  });

  test.each([0, 3, 8].map((index) => [EMBEDDED[index]?.waitFor, index] as const))(
    'Ctrl-C at "%s" leaves nothing behind',
    async (_question, index) => {
      const shell = freshShell();
      const steps = [...EMBEDDED.slice(0, index), { ...(EMBEDDED[index] as Step), type: CTRL_C }];
      const { exitCode, output } = await answering(shell, steps);
      expect(exitCode, output).toBe(130);
      expect(output).toContain('Not confirmed: nothing was done.');
      expect([existsSync(shell.file), existsSync(join(shell.home, 'data'))]).toEqual([false, false]);
    },
  );

  test('names the question whose answer is invalid', async () => {
    const steps: Step[] = EMBEDDED.slice(0, 8).map((step) =>
      step.waitFor === 'Lifetime' ? { waitFor: 'Lifetime', type: `2d${ENTER}` } : step,
    );
    const shell = freshShell();
    const { output } = await answering(shell, [...steps, { waitFor: 'What to do?', type: CTRL_C }]);
    expect(output).toContain(
      'token.ttl (2d, the answer to "Lifetime of tokens, such as 15m or 1h") is longer',
    );
    expect(output).not.toContain('config.yaml:');
  });

  test('names the flag whose value is invalid', async () => {
    const shell = freshShell();
    writeFileSync(shell.file, '# first\ntoken:\n  maxTtl: 1h\n', { mode: 0o600 });
    const words = ['--store', 'embedded', '--token-ttl', '2h', '--token-issuer', 'a'];
    const { exitCode, error } = await shell.run('init', '--config', shell.file, ...words, '--json');
    expect([exitCode, error().message]).toEqual([
      2,
      `token.ttl (2h, --token-ttl) is longer than token.maxTtl (1h, ${shell.file}:3).`,
    ]);
  });

  test('a dry run shows the settings, and writes nothing', async () => {
    const shell = freshShell();
    const report = await shell.json('init', '--config', shell.file, '--store', 'embedded', '--dry-run');
    expect(report.changes).toContainEqual({ setting: 'token.ttl', before: null, after: '1h' });
    expect(report.masterKeyFile).toContain('master-key');
    expect(report.storeFile).toContain('jwtctl.db');
    const { stderr } = await shell.run('init', '--config', shell.file, '--store', 'embedded', '--dry-run');
    expect(stderr).toContain(`Would create the embedded store ${report.storeFile}.`);
    expect([existsSync(shell.file), existsSync(join(shell.home, 'data'))]).toEqual([false, false]);
  });

  test('running it again keeps other settings and comments, and asks before it changes the file', async () => {
    const shell = freshShell();
    writeFileSync(shell.file, '# ours\nserve: { port: 9999 } # why\ntoken:\n  # short\n  ttl: 30m\n', {
      mode: 0o600,
    });
    const words = ['init', '--config', shell.file, '--store', 'embedded'];
    const refused = await shell.run(...words, '--json');
    expect([refused.exitCode, refused.error().code]).toEqual([2, 'ERR_CONFIRMATION_NEEDED']);
    await shell.json(...words, '--yes', '--token-issuer', 'https://id.example');
    const written = readFileSync(shell.file, 'utf8');
    expect(written).toMatch(/^# ours\nserve: \{ port: 9999 \} # why\ntoken:\n {2}# short\n {2}ttl: 30m\n/);
    expect(written).toMatch(/# iss claim of every token\.\n {2}issuer: https:\/\/id\.example\n/);

    expect((await shell.json(...words)).changes).toEqual([]);
    expect(readFileSync(shell.file, 'utf8')).toBe(written);
  });

  test('without a terminal, it chooses no store on its own', async () => {
    const shell = freshShell();
    const { exitCode, error } = await shell.run('init', '--config', shell.file, '--json');
    expect([exitCode, error()]).toMatchObject([
      2,
      { code: 'ERR_CONFIG_INCOMPLETE', hint: expect.stringMatching(/--store embedded.*--mysql-url/) },
    ]);
    expect([existsSync(shell.file), existsSync(join(shell.home, 'data'))]).toEqual([false, false]);
    await shell.json('init', '--config', shell.file, '--data', './here.db');
    expect((await shell.json('init', '--config', shell.file)).changes).toEqual([]);
  });

  test('writes into a profile', async () => {
    const shell = freshShell();
    const words = ['--config', shell.file, '--profile', 'staging'];
    const { stderr } = await shell.run('init', ...words, '--store', 'embedded', '--token-issuer', 'staging');
    expect(stderr).toContain(`Next: run \`jwtctl keys generate ${words.join(' ')}\`.\n`);
    const { settings } = await shownBy(shell, '--profile', 'staging');
    expect(settings['token.issuer']).toBe('staging');
    expect((await shownBy(shell)).settings['token.issuer']).toBe('jwtctl');
  });

  test('refuses a file that it cannot edit', async () => {
    const shell = freshShell();
    for (const [text, code] of [
      ['token: &t { ttl: 1h }\nprofiles: { a: { token: *t } }\n', 'ERR_CONFIG_FILE_NOT_EDITABLE'],
      ['token.ttl: 1h\n', 'ERR_CONFIG_VALUE_INVALID'],
    ] as const) {
      writeFileSync(shell.file, text, { mode: 0o600 });
      const words = [
        'init',
        '--config',
        shell.file,
        '--profile',
        'a',
        '--data',
        './here.db',
        '--yes',
        '--json',
      ];
      const { exitCode, error } = await shell.run(
        ...words.filter((word) => text.includes('a:') || !/^(--profile|a)$/.test(word)),
      );
      expect([exitCode, error().code]).toEqual([2, code]);
      expect(readFileSync(shell.file, 'utf8')).toBe(text);
    }
  });

  test('creates no second master key for keys that are sealed under a lost one', async () => {
    const shell = freshShell();
    await shell.json('init', '--config', shell.file, '--store', 'embedded');
    await shell.json('keys', 'generate', '--config', shell.file);
    unlinkSync(String((await shownBy(shell)).settings['masterKey.file']));
    const { exitCode, error } = await shell.run('init', '--config', shell.file, '--json');
    expect([exitCode, error().code]).toEqual([3, 'ERR_MASTER_KEY_MISSING']);
  });
});

describe('init, with MariaDB and a Redis Cluster', () => {
  let stores: Stores;
  /** The master key file of the first installation. */
  let keyring: string;
  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster', {}, { leastRights: true });
  });
  afterAll(() => stores?.close());

  const serversOf = (url = new URL(String(stores.env.JWTCTL_MYSQL_URL))) => {
    url.password = '';
    return [
      ...['--mysql-url', url.href, '--redis-nodes', String(stores.env.JWTCTL_REDIS_NODES)],
      ...[
        '--redis-prefix',
        String(stores.redis?.prefix),
        '--redis-username',
        String(stores.env.JWTCTL_REDIS_USERNAME),
      ],
    ];
  };

  test('takes every answer as a flag, and creates the schema', async () => {
    for (const { name } of await tables(stores)) await stores.query(`DROP TABLE ${name}`);
    const shell = freshShell();
    const password = join(shell.home, 'password');
    writeFileSync(password, 'least\n', { mode: 0o600 });
    const report = await shell.json(
      ...['init', '--config', shell.file, ...serversOf()],
      ...['--mysql-password-file', password, '--redis-password-file', password],
    );
    expect(report.migrations.length).toBeGreaterThan(5);
    expect(await shell.json('keys', 'generate', '--config', shell.file)).toMatchObject({ state: 'active' });
    keyring = String((await shownBy(shell)).settings['masterKey.file']);
  });

  test('refuses the prefix of another installation, unless it has the same master key', async () => {
    const shell = freshShell();
    const password = join(shell.home, 'password');
    writeFileSync(password, 'least\n', { mode: 0o600 });
    const passwords = ['--mysql-password-file', password, '--redis-password-file', password];
    const words = ['init', '--config', shell.file, ...serversOf(), ...passwords, '--json'];
    const { exitCode, error } = await shell.run(...words);
    expect([exitCode, error()]).toMatchObject([
      3,
      { code: 'ERR_REDIS_PREFIX_IN_USE', hint: expect.stringContaining('--redis-prefix') },
    ]);
    expect(existsSync(shell.file)).toBe(false);
    await shell.json(...words, '--dry-run', '--master-key-file', keyring);
    const other = writeMasterKey(shell.home, 'other.key');
    expect((await shell.run(...words, '--dry-run', '--master-key-file', other)).exitCode).toBe(3);

    const asked = await answering(
      shell,
      [
        { waitFor: 'Press Enter', type: ENTER },
        { waitFor: 'What kind of Redis', type: ENTER },
        { waitFor: 'Press Enter', type: ENTER },
        { waitFor: 'Where is the master key', type: ENTER },
        { waitFor: 'Master key file', type: ENTER },
        { waitFor: 'What to do?', type: ENTER },
        { waitFor: 'Prefix of the keys', type: CTRL_C },
      ],
      ...[...serversOf(), ...passwords],
    );
    expect([asked.exitCode, asked.output]).toEqual([130, expect.stringContaining('Another installation')]);
  });

  test('a typed password is stored, and never shown', async () => {
    const shell = freshShell();
    await administer(
      `ALTER USER '${new URL(String(stores.env.JWTCTL_MYSQL_URL)).username}' IDENTIFIED BY 'hunter2'`,
    );
    const { exitCode, output } = await answering(
      shell,
      [
        { waitFor: 'Password of the MySQL account', type: ENTER },
        { waitFor: 'masked]', type: `hunter2${ENTER}` },
        { waitFor: 'Press Enter', type: ENTER },
        { waitFor: 'MySQL answers', type: '' },
        { waitFor: 'What kind of Redis', type: CTRL_C },
      ],
      ...serversOf().slice(0, 2),
    );
    expect([exitCode, output]).toEqual([130, expect.stringContaining('GRANT SELECT, INSERT')]);
    expect(everythingPrinted.join('')).not.toContain('hunter2');
  });

  test('Enter keeps "no password", and answers no question about a new one', async () => {
    const shell = freshShell();
    const url = 'mysql://jwtctl@127.0.0.1:1/jwtctl';
    writeFileSync(shell.file, `mysql: { url: '${url}' }\nredis: { nodes: '127.0.0.1:1' }\n`, { mode: 0o600 });
    const { output } = await answering(shell, [
      { waitFor: 'Where to keep', type: ENTER },
      { waitFor: 'MySQL database', type: ENTER },
      { waitFor: 'Password of the MySQL account', type: ENTER },
      { waitFor: 'What to do?', type: ENTER },
      { waitFor: 'MySQL database', type: ENTER },
      { waitFor: 'Password of the MySQL account', type: `${UP}${UP}${UP}${ENTER}` },
      { waitFor: 'masked]', type: ENTER },
      { waitFor: 'Type at least one character', type: CTRL_C },
    ]);
    expect(output).toContain('ECONNREFUSED');
    expect(output).toContain('Not confirmed: nothing was done.');
  });

  test('hides the password of an address after the answer', async () => {
    const { output } = await answering(freshShell(), [
      { waitFor: 'Where to keep', type: `${DOWN}${ENTER}` },
      { waitFor: 'MySQL database', type: `mysql://app:p4ss@127.0.0.1:1/jwt${ENTER}` },
      { waitFor: 'Press Enter', type: CTRL_C },
    ]);
    expect(stripVTControlCharacters(output)).toContain('✔ MySQL database: mysql://app@127.0.0.1:1/jwt');
  });

  test('shows why a connection fails, and asks again: the last answer can be edited', async () => {
    const [port] = await closedPorts(1);
    const shell = freshShell({ JWTCTL_TIMEOUT: '1s' });
    const { exitCode, output } = await answering(
      shell,
      [
        { waitFor: 'Password of the MySQL account', type: `${DOWN}${DOWN}${DOWN}${ENTER}` },
        { waitFor: 'Press Enter', type: ENTER },
        { waitFor: 'What to do?', type: ENTER },
        { waitFor: 'MySQL database', type: `2${ENTER}` },
        { waitFor: 'Password of the MySQL account', type: CTRL_C },
      ],
      ...['--mysql-url', `mysql://app@127.0.0.1:${port}/jwt`],
    );
    expect(exitCode, output).toBe(130);
    expect(stripVTControlCharacters(output)).toContain(
      `✔ MySQL database: mysql://app@127.0.0.1:${port}/jwt2`,
    );
    expect(output).toContain('cannot be reached or does not respond (ECONNREFUSED)');
  });

  test('without a terminal, it guesses no address', async () => {
    const shell = freshShell();
    const { exitCode, error } = await shell.run(
      'init',
      '--config',
      shell.file,
      '--store',
      'servers',
      '--json',
    );
    expect([exitCode, error()]).toMatchObject([
      2,
      { code: 'ERR_CONFIG_INCOMPLETE', hint: expect.stringContaining('--mysql-url') },
    ]);
  });

  test('without a terminal, it fails like any other command, and writes nothing', async () => {
    const [port] = await closedPorts(1);
    const shell = freshShell();
    const words = ['--mysql-url', `mysql://app@127.0.0.1:${port}/jwt`, '--redis-nodes', `127.0.0.1:${port}`];
    const { exitCode, error } = await shell.run('init', '--config', shell.file, ...words, '--json');
    expect([exitCode, error().code]).toEqual([4, 'ERR_MYSQL_UNREACHABLE']);
    expect(existsSync(shell.file)).toBe(false);
  });
});

async function shownBy(shell: Cli & { file: string }, ...words: string[]) {
  const shown: Array<{ setting: string; value: unknown }> = await shell.json(
    'config',
    'show',
    '--config',
    shell.file,
    ...words,
  );
  return { settings: Object.fromEntries(shown.map(({ setting, value }) => [setting, value])) };
}

async function tables({ query }: Stores): Promise<Array<{ name: string }>> {
  const rows = await query(
    'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = database()',
  );
  return rows as Array<{ name: string }>;
}
