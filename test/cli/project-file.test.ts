import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cli, temporaryFolder } from '../support/cli.js';
import { BIN, spawnProgram } from '../support/spawned.js';

const DIST = new URL('../../dist/index.js', import.meta.url).href;
const SECRET = 'Secr3t-of-the-administrator';
const NO_VERIFIERS = 65_534;
const isRoot = process.geteuid?.() === 0;

/** A foreign server, which accepts all data and never answers. */
const foreignServer = { port: 0, connections: 0, received: '' };
const sockets = new Set<Socket>();
const server = createServer((socket) => {
  sockets.add(socket);
  foreignServer.connections += 1;
  socket
    .on('error', () => {})
    .on('data', (bytes) => {
      foreignServer.received += bytes.toString('latin1');
    });
});
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  foreignServer.port = (server.address() as AddressInfo).port;
});
beforeEach(() => Object.assign(foreignServer, { connections: 0, received: '' }));
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

const leadingAway = (more = '') =>
  `redis: {nodes: '127.0.0.1:${foreignServer.port}'${more}}\nmysql: {url: mysql://app@127.0.0.1:${foreignServer.port}/jwt}\n`;

function shellBeside(text: string, env: Record<string, string> = {}) {
  const shell = cli({ env: { JWTCTL_TIMEOUT: '1s', ...env } });
  const file = join(shell.home, 'jwtctl.yaml');
  writeFileSync(file, text, { mode: 0o600 });
  const secret = join(shell.home, 'secret');
  writeFileSync(secret, `${SECRET}\n`, { mode: 0o600 });
  return { shell, file, secret };
}

describe('a project file that points to a foreign server', () => {
  test.each([
    ", mode: standalone, passwordFile: 'secret'",
    ", mode: standalone, passwordFile: '/proc/self/environ'",
    ", mode: standalone, username: a, natMap: {'a:1': 'b:2'}",
    ", tls: {key: 'secret', cert: 'secret'}",
  ])('cannot choose what is sent there: %s', async (more) => {
    const { shell, file } = shellBeside(leadingAway(more));
    for (const words of [
      ['cache', 'nodes'],
      ['keys', 'list'],
      ['config', 'show'],
      ['config', 'validate'],
    ]) {
      const { exitCode, stdout, stderr } = await shell.run(...words);
      expect(exitCode).toBe(2);
      expect(stdout + stderr).toContain(file);
      expect(stdout + stderr).not.toContain(SECRET);
    }
    expect(foreignServer).toMatchObject({ connections: 0, received: '' });
  });

  test.each([
    ['JWTCTL_REDIS_PASSWORD', 'redis.password', 'redis.nodes', ['cache', 'nodes']],
    ['JWTCTL_REDIS_PASSWORD_FILE', 'redis.passwordFile', 'redis.nodes', ['cache', 'nodes']],
    ['JWTCTL_MYSQL_PASSWORD_FILE', 'mysql.passwordFile', 'mysql.url', ['db', 'status']],
  ])('does not get %s', async (variable, setting, address, words) => {
    const { shell, file, secret } = shellBeside(leadingAway());
    shell.env[variable] = variable.endsWith('FILE') ? secret : SECRET;
    const refused = await shell.run(...words, '--json');
    expect([refused.exitCode, refused.error().code]).toEqual([2, 'ERR_CONFIG_SECRET_FOR_PROJECT_ADDRESS']);
    for (const text of [setting, address, variable, file]) expect(refused.error().message).toContain(text);
    expect(refused.error().hint).toContain(`--config ${file}`);
    const validated = await shell.json('config', 'validate').catch((error) => String(error));
    expect(validated).toContain('Exit 2');
    expect((await shell.run('config', 'show')).exitCode).toBe(2);
    expect(foreignServer).toMatchObject({ connections: 0, received: '' });

    // Naming the file means trusting it.
    await shell.run(...words, '--config', file);
    expect(foreignServer.connections).toBeGreaterThan(0);
  });

  test('is reported on stderr in one line, even with -q, but not with JSON output', async () => {
    const { shell, file } = shellBeside(leadingAway());
    for (const form of [[], ['-q'], ['-o', 'ndjson']]) {
      const { exitCode, stderr } = await shell.run('cache', 'nodes', ...form);
      expect(exitCode).toBe(4);
      const lines = stderr.split('\n').filter((line) => line.includes(file));
      expect(lines).toEqual([`The project file ${file} sets mysql.url and redis.nodes.`]);
    }
    expect((await shell.run('cache', 'nodes', '--json')).error().code).toMatch(/^ERR_/);
    expect(foreignServer.received).not.toContain('AUTH');
  });

  test('is refused if other users can write to it or its folder', async () => {
    const { shell, file } = shellBeside(leadingAway());
    chmodSync(file, 0o666);
    expect((await shell.run('cache', 'nodes', '--json')).error().code).toBe('ERR_CONFIG_FILE_UNSAFE');
    chmodSync(file, 0o600);
    chmodSync(shell.home, 0o777);
    expect((await shell.run('cache', 'nodes', '--json')).error().code).toBe('ERR_CONFIG_FILE_UNSAFE');
    expect(foreignServer.connections).toBe(0);
  });

  test.skipIf(!isRoot)('is refused if another user owns it', async () => {
    const { shell, file } = shellBeside(leadingAway());
    chownSync(file, NO_VERIFIERS, NO_VERIFIERS);
    const { exitCode, error } = await shell.run(
      'token',
      'revoke',
      '--sub',
      'alice',
      '--all',
      '--json',
      '--yes',
    );
    expect([exitCode, error().code]).toEqual([2, 'ERR_CONFIG_FILE_UNSAFE']);
    expect(foreignServer.connections).toBe(0);
  });
});

test('config show warns about a secret file that will be refused, and about one that other users can read', async () => {
  const { shell, secret } = shellBeside('token: {issuer: a}\n', { JWTCTL_REDIS_PASSWORD_FILE: 'secret' });
  expect((await shell.run('config', 'show')).stderr).toBe('');
  chmodSync(secret, 0o604);
  expect((await shell.run('config', 'show')).stderr).toMatch(
    /^Warning: Other users can read .*chmod 600.*\n$/,
  );
  chmodSync(secret, 0o602);
  const { exitCode, stderr } = await shell.run('config', 'show');
  expect(exitCode).toBe(0);
  expect(stderr).toMatch(/^Warning: .*redis\.passwordFile.*other users can write to it.*\n$/);
  expect((await shell.run('config', 'show', '--json')).stderr).toBe(stderr);
});

test('--config accepts a configuration from a pipe of the shell', async () => {
  const { shell } = shellBeside('token: {issuer: project}\n');
  const command = 'echo "token: {issuer: piped, maxTtl: 2h}" | "$@" --config /dev/stdin';
  const words = [process.execPath, BIN, 'config', 'show', '--json'];
  const shown = await spawnProgram('/bin/sh', ['-c', command, 'sh', ...words], { env: shell.env });
  const find = (name: string) => shown.json().find(({ setting }: { setting: string }) => setting === name);
  expect([find('token.issuer').value, find('token.maxTtl').value]).toEqual(['piped', 7200]);
});

describe('the library', () => {
  async function opened(call: string, text: string) {
    const home = temporaryFolder();
    const cwd = join(home, 'project');
    mkdirSync(cwd);
    writeFileSync(join(cwd, 'jwtctl.yaml'), text, { mode: 0o600 });
    const program = `
      const { openVerifier, openIssuer } = await import('${DIST}');
      console.log((await ${call}.catch((error) => error)).code);`;
    const env = { HOME: home, JWTCTL_TIMEOUT: '1s' };
    const words = ['--input-type=module', '-e', program];
    const { stdout, stderr } = await spawnProgram(process.execPath, words, { env, cwd });
    return { code: stdout.trim(), stderr };
  }

  test.each([
    'openVerifier()',
    'openIssuer()',
    "openVerifier({ projectFile: 'true' })",
    'openIssuer({ projectFile: 1 })',
  ])('reads no project file unless asked to: %s', async (call) => {
    expect(await opened(call, leadingAway())).toEqual({ code: 'ERR_NO_STORE', stderr: '' });
    expect(foreignServer.connections).toBe(0);
  });

  test.each(['openVerifier', 'openIssuer'])('%s reads it when asked to, with a notice', async (open) => {
    const { code, stderr } = await opened(`${open}({ projectFile: true })`, leadingAway());
    expect(code).toMatch(/^ERR_MYSQL/);
    expect(stderr).toContain('sets mysql.url and redis.nodes.');
    expect(foreignServer.connections).toBeGreaterThan(0);
    const secret = await opened(
      `${open}({ projectFile: true, redis: { password: '${SECRET}' } })`,
      leadingAway(),
    );
    expect(secret.code).toBe('ERR_CONFIG_SECRET_FOR_PROJECT_ADDRESS');
  });
});
