import { join } from 'node:path';
import { Readable } from 'node:stream';
import Database from 'libsql';
import { describe, expect, test } from 'vitest';
import { main } from '../../src/cli/main.js';
import { cli } from '../support/cli.js';

describe('invalid input', () => {
  test.each([
    ['keys', 'list', '--redis-password=hunter2-hunter2'],
    ['keys', 'list', '--redis-pasword', '--x=hunter2-hunter2'],
    ['token', `eyJhbGciOiJSUzI1NiJ9.${'x'.repeat(80)}hunter2-hunter2`],
    ['keys', 'list', "--bogus=it's=hunter2-hunter2"],
    ['hunter2-hunter2'],
    [`hunter2-hunter2${'x'.repeat(60)}hunter2-hunter2`],
  ])('is not repeated in the message if it may be a secret: %s', async (...words) => {
    const { exitCode, stderr } = await cli().run(...words);
    expect(exitCode).toBe(2);
    expect(stderr).not.toContain('hunter2-hunter2');
  });

  test.each(['x'.repeat(256), '', 'a\u0007b'])('is refused as a jti', async (jti) => {
    const shell = cli();
    await shell.json('keys', 'generate');
    const result = await shell.run('token', 'revoke', '--sub', 'alice', '--jti', jti, '--json');
    expect(result.exitCode).toBe(2);
    expect(result.error().code).toBe('ERR_JTI_INVALID');
  });

  test.each(['2026-02-31', '2026-02-30T10:00:00Z', '2026-13-01', '2026-1-1'])(
    'is refused as a date: %s',
    async (day) => {
      const shell = cli();
      await shell.json('keys', 'generate');
      const result = await shell.run('token', 'revoke', '--issued-before', day, '--yes', '--json');
      expect(result.exitCode).toBe(2);
      expect(result.error().code).toBe('ERR_FLAG_INVALID');
    },
  );
});

test('the command in masterKey.command is masked, because it may contain a secret', async () => {
  const shell = cli({ env: { JWTCTL_MASTER_KEY_COMMAND: 'vault read -token=hunter2' } });
  for (const form of ['--output=table', '--json', '-q']) {
    expect((await shell.run('config', 'show', form)).stdout).not.toContain('hunter2');
  }
});

test('a subject with control characters is escaped', async () => {
  const shell = cli({
    env: { JWTCTL_USERS_SOURCE: 'table', JWTCTL_USERS_TABLE: 'people', JWTCTL_USERS_COLUMN: 'login' },
  });
  await shell.json('keys', 'generate');
  const database = new Database(join(shell.home, 'data/jwtctl/jwtctl.db'));
  database.exec('create table people (login text)');
  database.prepare('insert into people values (?)').run(['\u001b]0;pwned\u0007mallory\u009b']);
  database.close();
  for (const form of ['--output=table', '-q']) {
    const { stdout } = await shell.run('users', 'list', form);
    expect(stdout).toContain('mallory');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is its purpose
    expect(stdout).not.toMatch(/[\u0007\u001b\u009b]/);
  }
});

test('prints one id per line, and nothing for no ids', async () => {
  const shell = cli();
  expect((await shell.run('keys', 'generate', '-q')).lines()).toHaveLength(1);
  expect((await shell.run('keys', 'rotate', '--now', '-n', '-q')).stdout).toBe('');
  expect((await shell.run('db', 'migrate', '-q')).stdout).toBe('');
});

test('an interrupt ends the wait for standard input', async () => {
  const interruption = new AbortController();
  const shell = cli();
  await shell.json('keys', 'generate');
  const stdin = new Readable({ read: () => queueMicrotask(() => interruption.abort()) });
  const { stdout, stderr } = process;
  const silent = Object.assign(Object.create(stdout), {
    write: (_text: string, done?: () => void) => done?.(),
  });
  const io = {
    stdin,
    stdout: silent,
    stderr: { ...stderr, write: () => true } as never,
    env: shell.env,
    cwd: shell.home,
  };
  expect(await main(['token', 'verify', '-'], io, interruption.signal)).toBe(130);
});
