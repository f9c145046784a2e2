import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/cli.js';
import { startSilentServer } from '../support/proxies/silent-server.js';
import { BIN, spawnCli, spawnProgram } from '../support/spawned.js';

/** Creates an empty home, and returns the environment of a process in it. */
function emptyHome() {
  const home = temporaryFolder();
  const env = { HOME: home, XDG_DATA_HOME: join(home, 'data'), PATH: String(process.env.PATH) };
  const file = join(home, 'data', 'jwtctl', 'jwtctl.db');
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape that it expects
  const json = async (...words: string[]): Promise<any> => {
    const { exitCode, stderr, json } = await spawnCli([...words, '--json'], { env });
    expect({ words, exitCode, stderr }).toEqual({ words, exitCode: 0, stderr: '' });
    return json();
  };
  /** Runs a shell script in which `jwtctl` is the built command line. */
  const shell = (script: string, program = '/bin/sh') => {
    const definition = `jwtctl() { '${process.execPath}' '${BIN}' "$@"; }`;
    return spawnProgram(program, ['-c', `${definition}\n${script}`], { env });
  };
  return { home, env, file, json, shell };
}

function times<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => work(index)));
}

describe('many processes at once', () => {
  test('16 first uses of an empty home create one master key and one active key', async () => {
    const { env, file, json } = emptyHome();
    const ended = await times(16, () => spawnCli(['keys', 'generate', '--json'], { env }));

    for (const { exitCode, stderr } of ended)
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const keys = await json('keys', 'list');
    expect(keys).toHaveLength(16);
    expect(keys.filter((key: { state: string }) => key.state === 'active')).toHaveLength(1);
    expect(new Set(keys.map((key: { masterKeyId: string }) => key.masterKeyId)).size).toBe(1);
    const { token } = await json('token', 'issue', '--sub', 'alice', '--create-user');
    expect(await json('token', 'verify', token)).toMatchObject({ active: true });

    expect(statSync(join(file, '..')).mode & 0o777).toBe(0o700);
    for (const suffix of ['', '.master-key']) expect(statSync(`${file}${suffix}`).mode & 0o777).toBe(0o600);
  }, 60_000);

  test('16 concurrently issued tokens are all registered', async () => {
    const { env, json } = emptyHome();
    await json('keys', 'generate');
    const words = ['token', 'issue', '--sub', 'alice', '--create-user', '--json'];
    const ended = await times(16, () => spawnCli(words, { env }));

    for (const { exitCode, stderr } of ended)
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const issued = ended.map(({ json }) => json().jti).sort();
    const listed = await json('token', 'list', '--sub', 'alice');
    expect(listed.map((entry: { jti: string }) => entry.jti).sort()).toEqual(issued);
    expect(new Set(issued).size).toBe(16);
  }, 60_000);
});

describe('in a shell', () => {
  test('a token can be passed by a variable and a pipe', async () => {
    const { json, shell } = emptyHome();
    await json('keys', 'generate');
    await json('users', 'add', 'alice');
    const { exitCode, stdout } = await shell(`
      TOKEN=$(jwtctl token issue --sub alice -q) || exit 90
      echo "$TOKEN" | jwtctl token verify - --json || exit 91
      echo "$TOKEN" > "$HOME/token.txt"
      jwtctl token verify "@$HOME/token.txt" -q > /dev/null || exit 92
      echo "$TOKEN" | jwtctl token revoke - -q > /dev/null || exit 93
      echo "$TOKEN" | jwtctl token verify - -q > /dev/null
    `);

    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ active: true, payload: { sub: 'alice' } });
  });

  test('the command ends without an error if its reader goes away', async () => {
    const { json, shell } = emptyHome();
    await json('keys', 'generate', '--count', '3');
    for (const script of [
      'set -o pipefail; jwtctl keys list --json | head -c1',
      'set -o pipefail; jwtctl keys list -q | head -n1 > /dev/null',
      'set -o pipefail; jwtctl --help | head -n1 > /dev/null',
      'set -o pipefail; jwtctl keys list --json | true',
    ]) {
      const { exitCode, stderr } = await shell(script, '/bin/bash');
      expect({ script, exitCode, stderr }).toEqual({ script, exitCode: 0, stderr: '' });
    }
  });

  test('the head of a long list is printed without the rest and without an error', async () => {
    const { file, json, shell } = emptyHome();
    await json('users', 'add', '!first');
    const { default: Database } = await import('libsql');
    const database = new Database(file);
    database.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
       INSERT INTO users (sub, name, status, version, created_at, updated_at)
       SELECT printf('user-%06d', i), NULL, 'enabled', 1, 0, 0 FROM n`,
    );
    database.close();

    for (const form of ['-q', '-o ndjson -q', '--json']) {
      const { exitCode, stderr, lines } = await shell(
        `set -o pipefail; jwtctl users list ${form} | head -n1`,
        '/bin/bash',
      );
      expect({ form, exitCode, stderr }).toEqual({ form, exitCode: 0, stderr: '' });
      expect(lines()).toEqual([expect.stringContaining('!first')]);
    }
    const all = await shell('jwtctl users list -q | wc -l');
    expect(Number(all.stdout)).toBe(30_001);
  });

  test('a full disk is reported as such, not as a bug', async () => {
    const { json, shell } = emptyHome();
    await json('keys', 'generate');
    const { exitCode, error } = await shell('jwtctl keys list --json > /dev/full');
    expect({ exitCode, code: error().code }).toEqual({ exitCode: 5, code: 'ERR_OUTPUT_UNWRITABLE' });
    expect(error().message).toContain('ENOSPC');
    expect((await shell('jwtctl keys list --json >&-')).stderr).toBe('');
  });

  test('prints version and help', async () => {
    const { shell } = emptyHome();
    const version = await shell('jwtctl --version');
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await shell('jwtctl --version --no-color')).stdout).toBe(version.stdout);
    for (const words of [
      '--help',
      'help',
      'keys --help',
      'help keys',
      'keys help rotate',
      'keys rotate -h',
      '',
      'keys',
    ]) {
      const { exitCode, stdout, stderr } = await shell(`jwtctl ${words}`);
      expect({ words, exitCode, stderr }).toEqual({ words, exitCode: 0, stderr: '' });
      expect(stdout).toContain('Usage: jwtctl');
    }
  });
});

describe('an interruption', () => {
  /** Interrupts a command that waits for a server that hangs. */
  async function interrupted(times: number) {
    const { port, visited, stop } = await startSilentServer();
    const env = {
      HOME: temporaryFolder(),
      JWTCTL_MYSQL_URL: `mysql://u:p@127.0.0.1:${port}/db`,
      JWTCTL_REDIS_NODES: `127.0.0.1:${port}`,
    };
    const child = spawn(process.execPath, [BIN, 'keys', 'list', '--timeout', '3s'], { env, stdio: 'pipe' });
    try {
      const exit = once(child, 'exit');
      await visited;
      const startedAt = performance.now();
      for (let sent = 0; sent < times; sent++) {
        child.kill('SIGINT');
        await delay(100);
      }
      const [exitCode, signal] = await exit;
      return { exitCode, signal, elapsedMs: performance.now() - startedAt };
    } finally {
      child.kill('SIGKILL');
      await stop();
    }
  }

  test('exits 130 at the latest after the timeout', async () => {
    const { exitCode, signal, elapsedMs } = await interrupted(1);
    expect({ exitCode, signal }).toEqual({ exitCode: 130, signal: null });
    expect(elapsedMs).toBeLessThan(3_000 + 2_500);
  });

  test('exits 130 at once if repeated', async () => {
    const { exitCode, signal, elapsedMs } = await interrupted(2);
    expect({ exitCode, signal }).toEqual({ exitCode: 130, signal: null });
    expect(elapsedMs).toBeLessThan(2_000);
  });
});
