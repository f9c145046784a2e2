import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Cli, cli } from '../support/cli.js';
import { spawnProgram } from '../support/spawned.js';

/** Expects exit code 2, one JSON document that contains all of `names`, and no opened store. */
async function expectConfigError(shell: Cli, names: string[], ...words: string[]) {
  const result = await shell.run(...(words.length === 0 ? ['keys', 'generate'] : words), '--json');
  expect({ exitCode: result.exitCode, stdout: result.stdout }).toEqual({ exitCode: 2, stdout: '' });
  const { code, message, hint = '' } = result.error();
  expect(code).toMatch(/^ERR_CONFIG_/);
  for (const name of names) expect(`${message} ${hint}`).toContain(name);
  expect(existsSync(join(shell.home, 'data'))).toBe(false);
}

describe('the environment', () => {
  test.each([
    { JWTCTL_MYSQL_URL: 'mysql://x' },
    { JWTCTL_MYSQL_URL: 'mysql://user@host:99999/db' },
    { JWTCTL_MYSQL_URL: 'http://user@host/db' },
    { JWTCTL_MYSQL_URL: 'postgres://user@host/db' },
    { JWTCTL_MYSQL_URL: 'db' },
    { JWTCTL_REDIS_NODES: 'host:0' },
    { JWTCTL_REDIS_NODES: 'host:99999' },
    { JWTCTL_REDIS_NODES: 'redis://host:6379/3' },
    { JWTCTL_REDIS_NODES: ',' },
    { JWTCTL_REDIS_MODE: 'replica' },
    { JWTCTL_REDIS_PREFIX: '{jwt}' },
    { JWTCTL_REDIS_PREFIX: 'a b' },
    { JWTCTL_TOKEN_TTL: '0' },
    { JWTCTL_TOKEN_TTL: '1y' },
    { JWTCTL_TOKEN_MAX_TTL: '-1' },
    { JWTCTL_TOKEN_CLOCK_TOLERANCE: '1.5' },
    { JWTCTL_KEYS_BITS: '1024' },
    { JWTCTL_KEYS_ALGORITHM: 'HS256' },
    { JWTCTL_KEYS_ROTATE_AFTER: 'monthly' },
    { JWTCTL_USERS_SOURCE: 'ldap' },
    { JWTCTL_USERS_TABLE: 'users; DROP TABLE users' },
    { JWTCTL_REGISTRY_MAX_PER_SUBJECT: '0' },
  ])('an invalid $0 is refused by name', async (env) => {
    const [name = '', value = ''] = Object.entries(env)[0] ?? [];
    await expectConfigError(cli({ env: { [name]: value } }), [name]);
  });

  test('an unknown variable is refused, with a suggestion', async () => {
    const shell = cli({ env: { JWTCTL_REDIS_NODE: '127.0.0.1:7000' } });
    await expectConfigError(shell, ['JWTCTL_REDIS_NODE', 'JWTCTL_REDIS_NODES']);
  });

  test('variables of the test suite are ignored', async () => {
    const { exitCode } = await cli({ env: { JWTCTL_TEST_MYSQL_URL: 'x' } }).run('keys', 'generate');
    expect(exitCode).toBe(0);
  });

  test('setting only one of the two servers is refused, and names the other', async () => {
    const mysql = cli({ env: { JWTCTL_MYSQL_URL: 'mysql://user@127.0.0.1:1/db' } });
    const redis = cli({ env: { JWTCTL_REDIS_NODES: '127.0.0.1:1' } });
    for (const words of [
      ['keys', 'generate'],
      ['users', 'list'],
      ['token', 'verify', 'x'],
      ['cache', 'inspect'],
    ]) {
      await expectConfigError(mysql, ['JWTCTL_REDIS_NODES'], ...words);
      await expectConfigError(redis, ['JWTCTL_MYSQL_URL'], ...words);
    }
  });

  test('a lifetime above the maximum is refused', async () => {
    await expectConfigError(cli({ env: { JWTCTL_TOKEN_TTL: '48h' } }), ['token.ttl', 'token.maxTtl']);
  });
});

describe('without a configured store', () => {
  const COMMANDS = [
    ...[
      ['keys', 'list'],
      ['keys', 'rotate'],
      ['keys', 'rotate', '--now'],
      ['keys', 'export'],
      ['keys', 'show', 'k'],
    ],
    ...[
      ['users', 'list'],
      ['users', 'show', 'a'],
      ['users', 'disable', 'a'],
      ['users', 'remove', 'a', '--yes'],
    ],
    ...[
      ['token', 'issue', '--sub', 'a'],
      ['token', 'issue', '--sub', 'a', '--create-user'],
      ['token', 'list', '--sub', 'a'],
    ],
    ...[
      ['token', 'verify', 'a.b.c'],
      ['token', 'revoke', '--sub', 'a', '--all', '--yes'],
      ['cache', 'inspect'],
    ],
    ...[
      ['cache', 'nodes'],
      ['cache', 'reconcile'],
      ['cache', 'flush', '--all', '--yes'],
      ['db', 'status'],
      ['db', 'migrate'],
    ],
  ];

  test.each(COMMANDS)('%s %s does not silently use an empty store', async (...argv) => {
    const shell = cli();
    const words = argv.filter((word): word is string => word !== undefined);
    const { exitCode, stdout, error } = await shell.run(...words, '--json');

    expect({ exitCode, stdout, code: error().code }).toEqual({
      exitCode: 3,
      stdout: '',
      code: 'ERR_NO_STORE',
    });
    expect(error().message).toContain('JWTCTL_MYSQL_URL');
    expect(error().message).toContain('JWTCTL_REDIS_NODES');
    expect(existsSync(join(shell.home, 'data'))).toBe(false);
  });

  test('an empty environment, as in a cron job, gives an error that names the missing settings', async () => {
    const shell = cli();
    const bin = new URL('../../bin/jwtctl.js', import.meta.url).pathname;
    // --data, because the developer may have a store in the home folder.
    const words = [bin, 'keys', 'rotate', '--data', join(shell.home, 'none.db')];
    const ended = await spawnProgram('/usr/bin/env', ['-i', process.execPath, ...words]);

    expect({ exitCode: ended.exitCode, stdout: ended.stdout }).toEqual({ exitCode: 3, stdout: '' });
    expect(ended.stderr).toContain('JWTCTL_MYSQL_URL');
    expect(ended.stderr).toContain('JWTCTL_REDIS_NODES');
    expect(ended.stderr).not.toMatch(/^\s+at /m);
  });

  test('commands that need no store work without one', async () => {
    const shell = cli();
    for (const words of [
      ['config', 'show'],
      ['config', 'path'],
      ['config', 'validate'],
    ]) {
      expect({ words, exitCode: (await shell.run(...words, '--json')).exitCode }).toEqual({
        words,
        exitCode: 0,
      });
    }
    expect(existsSync(join(shell.home, 'data'))).toBe(false);
  });
});

test('config validate reports its skipped checks and the next steps', async () => {
  const shell = cli({ env: { JWTCTL_MYSQL_URL: 'mysql://jwtctl@127.0.0.1:1/jwtctl' } });
  const { exitCode, stdout } = await shell.run('config', 'validate');
  expect(exitCode).toBe(2);
  const text = stdout.replace(/\s+/g, ' ');
  expect(text).toContain('Did not connect to MySQL or Redis');
  expect(text).toMatch(/redis\.nodes \(JWTCTL_REDIS_NODES\) is not\. Set redis\.nodes or JWTCTL_REDIS_NODES/);
  expect((await cli().run('config', 'validate')).stdout.replace(/\s+/g, ' ')).toContain('Did not connect');
  const help = (await shell.run('config', 'validate', '--help')).stdout.replace(/\s+/g, ' ');
  expect(help).toContain('Connects to MySQL and Redis only with --connect');
});

describe('configuration files', () => {
  function withFile(text: string, name = 'jwtctl.yaml'): { shell: Cli; file: string } {
    const shell = cli();
    const file = join(shell.home, name);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text, { mode: 0o600 });
    return { shell, file };
  }

  test('an unknown key is named with its file and a suggestion', async () => {
    const { shell, file } = withFile('token:\n  maxTTL: 1h\n');
    await expectConfigError(shell, [file, 'maxTTL', 'maxTtl']);
  });

  test('an invalid value is named with its file and key', async () => {
    const { shell, file } = withFile('token:\n  ttl: soon\n');
    await expectConfigError(shell, [file, 'token.ttl']);
  });

  test.each(['token:\n\tttl: 1h\n', 'token: {ttl: 1h', 'a: b: c', '- x\n', '"'])(
    '%j is refused as a configuration',
    async (text) => {
      const { shell, file } = withFile(text);
      await expectConfigError(shell, [file]);
    },
  );

  test('invalid JSON is named, too', async () => {
    const { shell, file } = withFile('{"token": {"ttl": "1h",}', 'jwtctl.json');
    await expectConfigError(shell, [file]);
  });

  test('a secret or a command in a project file is refused', async () => {
    const { shell, file } = withFile('masterKey:\n  command: "echo owned"\n');
    await expectConfigError(shell, [file, 'masterKey.command']);
    const second = withFile('redis:\n  password: Sup3rSecret-File\n');
    await expectConfigError(second.shell, [second.file, 'redis.password']);
    expect((await second.shell.run('keys', 'list')).stderr).not.toContain('Sup3rSecret-File');
  });

  test('a missing file or profile is refused', async () => {
    await expectConfigError(cli(), ['/no/such/file.yaml'], 'keys', 'list', '--config', '/no/such/file.yaml');
    await expectConfigError(cli(), ['staging'], '--profile', 'staging', 'keys', 'list');
  });

  test('a flag overrides a variable, which overrides a profile, which overrides the user file', async () => {
    const { shell } = withFile(
      'token:\n  ttl: 2h\nprofiles:\n  short:\n    token:\n      ttl: 3m\n',
      'jwtctl/config.yaml',
    );
    await shell.json('keys', 'generate');
    await shell.json('users', 'add', 'alice');
    const ttl = async (...words: string[]) => {
      const { iat, exp } = await shell.json('token', 'issue', '--sub', 'alice', ...words);
      return exp - iat;
    };
    expect(await ttl()).toBe(7_200);
    expect(await ttl('--profile', 'short')).toBe(180);
    shell.env.JWTCTL_TOKEN_TTL = '4m';
    expect(await ttl('--profile', 'short')).toBe(240);
    expect(await ttl('--token-ttl', '5m')).toBe(300);
    const shown = await shell.json('config', 'show');
    expect(shown.find((row: { setting: string }) => row.setting === 'token.ttl')).toMatchObject({
      origin: 'JWTCTL_TOKEN_TTL',
    });
  });
});
