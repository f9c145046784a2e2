import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closedPorts, startSilentServer } from '../support/proxies/silent-server.js';
import { redisNodes, startRedis } from '../support/servers.js';
import { type Ended, spawnCli } from '../support/spawned.js';
import { openStores, type Stores } from '../support/stores.js';

const TIMEOUT_MS = 2_000;
const TIMEOUT = ['--timeout', `${TIMEOUT_MS / 1000}s`];
const PASSWORD = 'Gr4nd-Secr3t';

let stores: Stores;
let token = '';
beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  await stores.json('keys', 'generate');
  ({ token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user'));
});
afterAll(() => stores?.close());

/** Runs the built command line over the stores with these changes. */
function run(changes: Record<string, string>, ...words: string[]): Promise<Ended> {
  return spawnCli([...words, ...TIMEOUT, '--json'], { env: { ...stores.env, ...changes }, cwd: stores.home });
}

/**
 * Returns how long these commands may take at once if a server hangs: two timeouts, and twice the time that they take
 * without a server. Waiting in turn for every store, node, and retry takes longer.
 */
async function longestMs(commands: readonly string[][], withoutServer: Record<string, string>) {
  const base = await Promise.all(commands.map((words) => run(withoutServer, ...words)));
  return 2 * TIMEOUT_MS + 2 * Math.max(...base.map(({ elapsedMs }) => elapsedMs));
}

/** Expects that the process ends by itself, with one JSON document that names the cause and no password. */
function expectFailure(ended: Ended, expected: { exitCode: number; code: string; names: string[] }) {
  const { exitCode, stdout, signal } = ended;
  expect({ exitCode, stdout, signal }).toEqual({ exitCode: expected.exitCode, stdout: '', signal: null });
  const { code, message, hint } = ended.error();
  expect(code).toBe(expected.code);
  for (const name of expected.names) expect(message).toContain(name);
  expect(hint).toMatch(/\S/);
  expect(ended.stderr).not.toContain(PASSWORD);
  expect(ended.stderr).not.toMatch(/\n\s+at /);
}

function mysqlAt(port: number): string {
  return `mysql://jwtctl:${PASSWORD}@127.0.0.1:${port}/jwtctl`;
}

describe('MySQL', () => {
  const COMMANDS = [
    ['keys', 'list'],
    ['users', 'list'],
    ['db', 'status'],
    ['token', 'list', '--sub', 'alice'],
  ];

  test('without a server', async () => {
    const [port = 0] = await closedPorts(1);
    for (const words of COMMANDS) {
      const ended = await run({ JWTCTL_MYSQL_URL: mysqlAt(port) }, ...words);
      expectFailure(ended, { exitCode: 4, code: 'ERR_MYSQL_UNREACHABLE', names: [`127.0.0.1:${port}`] });
    }
  });

  test('that hangs', async () => {
    const { port, stop } = await startSilentServer();
    try {
      const changes = { JWTCTL_MYSQL_URL: mysqlAt(port) };
      const [closed = 0] = await closedPorts(1);
      const longest = await longestMs(COMMANDS, { JWTCTL_MYSQL_URL: mysqlAt(closed) });
      for (const ended of await Promise.all(COMMANDS.map((words) => run(changes, ...words)))) {
        expectFailure(ended, { exitCode: 4, code: 'ERR_MYSQL_UNREACHABLE', names: [`127.0.0.1:${port}`] });
        expect(ended.elapsedMs).toBeLessThan(longest);
      }
    } finally {
      await stop();
    }
  });

  test('with an unknown host', async () => {
    const ended = await run(
      { JWTCTL_MYSQL_URL: `mysql://u:${PASSWORD}@no-such-host.invalid/db` },
      'keys',
      'list',
    );
    expectFailure(ended, {
      exitCode: 4,
      code: 'ERR_MYSQL_UNREACHABLE',
      names: ['no-such-host.invalid:3306'],
    });
  });

  test('with a wrong password, from the URL or from a file', async () => {
    const url = new URL(String(stores.env.JWTCTL_MYSQL_URL));
    const names = [url.host, url.username];
    url.password = PASSWORD;
    const inUrl = await run({ JWTCTL_MYSQL_URL: url.href }, 'keys', 'list');
    expectFailure(inUrl, { exitCode: 4, code: 'ERR_MYSQL_AUTH', names });

    const file = join(stores.home, 'mysql.password');
    writeFileSync(file, `${PASSWORD}\n`, { mode: 0o600 });
    url.password = '';
    const changes = { JWTCTL_MYSQL_URL: url.href, JWTCTL_MYSQL_PASSWORD_FILE: file };
    expectFailure(await run(changes, 'keys', 'list'), { exitCode: 4, code: 'ERR_MYSQL_AUTH', names });
  });

  test('without the database', async () => {
    const url = new URL(String(stores.env.JWTCTL_MYSQL_URL));
    url.pathname = '/no_such_database';
    const ended = await run({ JWTCTL_MYSQL_URL: url.href }, 'keys', 'list');
    expectFailure(ended, {
      exitCode: 3,
      code: 'ERR_DATABASE_UNKNOWN',
      names: [url.host, 'no_such_database'],
    });
  });

  test('with a missing password file', async () => {
    const url = new URL(String(stores.env.JWTCTL_MYSQL_URL));
    url.password = '';
    const changes = { JWTCTL_MYSQL_URL: url.href, JWTCTL_MYSQL_PASSWORD_FILE: '/no/such/password' };
    const ended = await run(changes, 'keys', 'list');
    expectFailure(ended, { exitCode: 2, code: 'ERR_CONFIG_FILE_MISSING', names: ['/no/such/password'] });
  });
});

describe('Redis', () => {
  const COMMANDS = [
    ['cache', 'inspect'],
    ['cache', 'nodes'],
    ['cache', 'reconcile'],
    ['cache', 'flush', '--all', '--yes'],
    ['token', 'list', '--sub', 'alice'],
    ['token', 'issue', '--sub', 'alice'],
  ];

  test('without a server', async () => {
    const nodes = (await closedPorts(3)).map((port) => `127.0.0.1:${port}`);
    for (const words of COMMANDS) {
      const ended = await run({ JWTCTL_REDIS_NODES: nodes.join(',') }, ...words);
      expectFailure(ended, { exitCode: 4, code: 'ERR_REDIS_UNREACHABLE', names: nodes });
    }
  });

  test.each(['cluster', 'standalone'])(
    'that hangs, in mode %s',
    async (mode) => {
      const { port, stop } = await startSilentServer();
      try {
        const changes = { JWTCTL_REDIS_NODES: `127.0.0.1:${port}`, JWTCTL_REDIS_MODE: mode };
        const [closed] = await closedPorts(1);
        const longest = await longestMs(COMMANDS, { ...changes, JWTCTL_REDIS_NODES: `127.0.0.1:${closed}` });
        for (const ended of await Promise.all(COMMANDS.map((words) => run(changes, ...words)))) {
          expectFailure(ended, { exitCode: 4, code: 'ERR_REDIS_UNREACHABLE', names: [`127.0.0.1:${port}`] });
          expect(ended.elapsedMs).toBeLessThan(longest);
        }
      } finally {
        await stop();
      }
    },
    60_000,
  );

  test('that hangs on one of three nodes delays a command only briefly', async () => {
    const { port, stop } = await startSilentServer();
    try {
      const nodes = [`127.0.0.1:${port}`, ...redisNodes()].join(',');
      const [closed] = await closedPorts(1);
      const verify = ['token', 'verify', token];
      const longest = await longestMs([verify], { JWTCTL_REDIS_NODES: `127.0.0.1:${closed}` });
      const ended = await run({ JWTCTL_REDIS_NODES: nodes }, ...verify);
      expect({ exitCode: ended.exitCode, stderr: ended.stderr }).toEqual({ exitCode: 0, stderr: '' });
      expect(ended.elapsedMs).toBeLessThan(longest);
    } finally {
      await stop();
    }
  });

  test('that is a cluster node, configured as standalone', async () => {
    const [node = ''] = redisNodes();
    const ended = await run(
      { JWTCTL_REDIS_NODES: node, JWTCTL_REDIS_MODE: 'standalone' },
      'cache',
      'inspect',
    );
    expectFailure(ended, { exitCode: 2, code: 'ERR_REDIS_MODE_MISMATCH', names: [node] });
  });

  test('that is a single server, configured as a cluster or with a wrong password', async () => {
    const server = await startRedis({ user: { name: 'jwtctl', password: 'the-right-one' } });
    const login = { JWTCTL_REDIS_NODES: server.node, JWTCTL_REDIS_USERNAME: 'jwtctl' };
    const standalone = { ...login, JWTCTL_REDIS_MODE: 'standalone' };
    const refused = { exitCode: 4, code: 'ERR_REDIS_AUTH', names: [server.node] };
    try {
      const inCluster = await run({ ...login, JWTCTL_REDIS_PASSWORD: 'the-right-one' }, 'cache', 'inspect');
      expectFailure(inCluster, { exitCode: 2, code: 'ERR_REDIS_MODE_MISMATCH', names: [server.node] });

      expectFailure(
        await run({ ...standalone, JWTCTL_REDIS_PASSWORD: PASSWORD }, 'cache', 'inspect'),
        refused,
      );
      const file = join(stores.home, 'redis.password');
      writeFileSync(file, `${PASSWORD}\n`, { mode: 0o600 });
      const fromFile = await run({ ...standalone, JWTCTL_REDIS_PASSWORD_FILE: file }, 'cache', 'inspect');
      expectFailure(fromFile, refused);
      expectFailure(
        await run({ ...login, JWTCTL_REDIS_PASSWORD: PASSWORD }, 'token', 'issue', '--sub', 'alice'),
        refused,
      );

      writeFileSync(file, 'the-right-one\n');
      const right = await run({ ...standalone, JWTCTL_REDIS_PASSWORD_FILE: file }, 'cache', 'inspect');
      expect({ exitCode: right.exitCode, backend: right.json().backend }).toEqual({
        exitCode: 0,
        backend: 'redis',
      });
    } finally {
      await server.stop();
    }
  });
});
