import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BIN } from '../support/spawned.js';
import { openStores, type Stores } from '../support/stores.js';

/** Returns whether a process runs. A zombie does not. */
function isRunning(pid: string): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

describe('a signal while a configured command runs', () => {
  let stores: Stores;
  let runs = 0;
  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster');
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  const COMMANDS = {
    JWTCTL_MASTER_KEY_COMMAND: ['users', 'disable', 'alice'],
    JWTCTL_MYSQL_PASSWORD_COMMAND: ['keys', 'list'],
    JWTCTL_REDIS_PASSWORD_COMMAND: ['token', 'list', '--sub', 'alice'],
  };
  const CASES = Object.keys(COMMANDS).flatMap((name) =>
    (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map(
      (signal) => [signal, name as keyof typeof COMMANDS] as const,
    ),
  );

  test.each(CASES)('%s ends jwtctl and the command of %s', async (signal, name) => {
    const pidFile = join(stores.home, `pid-${++runs}`);
    const env: Record<string, string> = {
      ...stores.env,
      [name]: `echo $$ >> ${pidFile}; sleep 60; echo x`,
      JWTCTL_TIMEOUT: '30s',
    };
    if (name === 'JWTCTL_MASTER_KEY_COMMAND') delete env.JWTCTL_MASTER_KEY_FILE;
    if (name === 'JWTCTL_MYSQL_PASSWORD_COMMAND')
      env.JWTCTL_MYSQL_URL = String(env.JWTCTL_MYSQL_URL).replace(/:[^:@/]*@/, '@');
    const child = spawn(process.execPath, [BIN, ...COMMANDS[name]], { env, stdio: 'pipe' });
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const ended = once(child, 'close');
    await vi.waitFor(() => expect(existsSync(pidFile) && readFileSync(pidFile, 'utf8')).toMatch(/\n/), {
      timeout: 20_000,
    });
    child.kill(signal);
    expect(await ended).toEqual(signal === 'SIGINT' ? [130, null] : [null, signal]);
    if (signal === 'SIGINT') expect(stderr).toContain('Interrupted');
    const pid = readFileSync(pidFile, 'utf8').trim();
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), { timeout: 5_000 });
    expect(await stores.query('SELECT status FROM users')).toEqual([{ status: 'enabled' }]);
  });
});
