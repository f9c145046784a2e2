import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli, temporaryFolder } from '../support/cli.js';
import { freshMysqlDatabase, freshPrefix, redisNodes } from '../support/servers.js';
import { BIN } from '../support/spawned.js';

const FORMS = ['--output=table', '--output=ndjson', '--json', '-q'];

test.each(FORMS)(
  'creates the key of an embedded store, and reports it only in text output: %s',
  async (form) => {
    const shell = cli();
    const { exitCode, stderr } = await shell.run('keys', 'generate', form);
    const file = join(shell.home, 'data/jwtctl/jwtctl.db.master-key');
    expect({ exitCode, isMade: existsSync(file) }).toEqual({ exitCode: 0, isMade: true });
    expect(stderr.includes(file)).toBe(form.startsWith('--output'));
  },
);

test('Ctrl-C also ends the processes of masterKey.command', async () => {
  const home = temporaryFolder();
  const pipe = join(home, 'pipe');
  execFileSync('/bin/sh', ['-c', 'mkfifo "$0"', pipe]);
  const child = spawn(process.execPath, [BIN, 'keys', 'generate'], {
    env: { HOME: home, JWTCTL_TIMEOUT: '60s', JWTCTL_MASTER_KEY_COMMAND: `sleep 60 > '${pipe}' & wait` },
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  // The pipe ends when the last process that has it open ends.
  const handle = await open(pipe, 'r');
  child.kill('SIGINT');
  try {
    expect(await ended).toEqual([130, null]);
    expect(await handle.readFile('utf8')).toBe('');
  } finally {
    await handle.close();
  }
});

describe('with servers and no master key configured', () => {
  let database: Awaited<ReturnType<typeof freshMysqlDatabase>>;
  const serverShell = () =>
    cli({
      env: {
        JWTCTL_MYSQL_URL: database.url,
        JWTCTL_REDIS_NODES: redisNodes().join(','),
        JWTCTL_REDIS_PREFIX: freshPrefix(),
      },
    });

  beforeAll(async () => {
    database = await freshMysqlDatabase();
  });
  afterAll(() => database?.drop());

  test('the first host creates one and reports it in every format; another host gets an error that names the missing one', async () => {
    const first = serverShell();
    await first.run('db', 'migrate');
    const made = await first.run('keys', 'generate', '-q');
    const file = join(first.home, 'data/jwtctl/jwtctl.db.master-key');
    expect(made.exitCode).toBe(0);
    expect(made.stderr).toContain(file);
    const [{ masterKeyId }] = await first.json('keys', 'list');

    const second = serverShell();
    const refused = await second.run('token', 'issue', '--sub', 'alice', '--create-user', '--json');
    expect(refused.exitCode).toBe(3);
    expect(refused.error().code).toBe('ERR_MASTER_KEY_MISSING');
    expect(refused.error().message).toContain(masterKeyId);
    expect(refused.error().message).toContain('No master key is configured');
    expect(refused.error().hint).toContain('JWTCTL_MASTER_KEY_FILE');
    expect(existsSync(join(second.home, 'data/jwtctl/jwtctl.db.master-key'))).toBe(false);
    expect((await second.run('keys', 'generate')).exitCode).toBe(3);
  });
});
