import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type OpenIssuer, openIssuer } from '../../src/issuer/open-issuer.js';
import { type OpenVerifier, openVerifier } from '../../src/verifier/open-verifier.js';
import { redisCli } from '../adapters/redis/registry-under-test.js';
import { cli, temporaryFolder } from '../support/cli.js';
import { freePort } from '../support/free-port.js';
import { startSilentServer } from '../support/proxies/silent-server.js';
import { freshMysqlDatabase, freshPrefix, openServerGroup, startRedis } from '../support/servers.js';
import { spawnCli } from '../support/spawned.js';
import { writeMasterKey } from '../support/stores.js';

const HOST = '127.0.0.1';
const MASTER = 'tokens';
const PASSWORD = randomBytes(12).toString('hex');
const SENTINEL_PASSWORD = randomBytes(12).toString('hex');
const folder = temporaryFolder();
const group = openServerGroup();
const servers: Array<Awaited<ReturnType<typeof startRedis>>> = [];
let sentinelPort: number;
let database: Awaited<ReturnType<typeof freshMysqlDatabase>>;
let settings: Parameters<typeof openIssuer>[0] & object;
let env: Record<string, string>;
let issuer: OpenIssuer;
let verifier: OpenVerifier;

beforeAll(async () => {
  const config = [`masterauth ${PASSWORD}`, 'repl-diskless-sync-delay 0'];
  const user = { password: PASSWORD };
  const first = await startRedis({ user, config });
  servers.push(first);
  servers.push(await startRedis({ user, config: [...config, `replicaof ${HOST} ${first.port}`] }));
  sentinelPort = await startSentinel(first.port);
  // One Sentinel that is gone must not matter.
  const nodes = `${HOST}:${await freePort()},${HOST}:${sentinelPort}`;
  database = await freshMysqlDatabase();
  const sentinelPasswordFile = join(folder, 'sentinel.password');
  writeFileSync(sentinelPasswordFile, SENTINEL_PASSWORD, { mode: 0o600 });
  const prefix = freshPrefix();
  const masterKey = writeMasterKey(folder);
  env = {
    ...{ JWTCTL_MYSQL_URL: database.url, JWTCTL_MASTER_KEY_FILE: masterKey, JWTCTL_TIMEOUT: '3s' },
    ...{ JWTCTL_REDIS_NODES: nodes, JWTCTL_REDIS_MODE: 'sentinel', JWTCTL_REDIS_SENTINEL_MASTER: MASTER },
    ...{ JWTCTL_REDIS_SENTINEL_PASSWORD_FILE: sentinelPasswordFile, JWTCTL_REDIS_PASSWORD: PASSWORD },
    JWTCTL_REDIS_PREFIX: prefix,
  };
  settings = {
    mysql: { url: database.url },
    redis: {
      ...{ nodes, prefix, mode: 'sentinel', sentinelMaster: MASTER },
      ...{ sentinelPasswordFile, password: PASSWORD },
    },
    masterKey: { file: masterKey },
    timeout: '3s',
  };
  const shell = cli({ env });
  await shell.json('db', 'migrate');
  await shell.json('keys', 'generate');
  await shell.json('users', 'add', 'alice');
  [issuer, verifier] = await Promise.all([
    openIssuer(settings),
    openVerifier({ ...settings, nearCache: true }),
  ]);
}, 120_000);
afterAll(async () => {
  await Promise.all([issuer?.close(), verifier?.close()]);
  await Promise.all([group.stop(), ...servers.map((server) => server.stop()), database?.drop()]);
});

async function startSentinel(masterPort: number): Promise<number> {
  const port = await freePort();
  const file = join(group.makeFolder('sentinel'), 'sentinel.conf');
  const lines = [
    ...[`port ${port}`, `bind ${HOST}`, `requirepass ${SENTINEL_PASSWORD}`],
    `sentinel monitor ${MASTER} ${HOST} ${masterPort} 1`,
    `sentinel auth-pass ${MASTER} ${PASSWORD}`,
    `sentinel down-after-milliseconds ${MASTER} 500`,
    `sentinel failover-timeout ${MASTER} 1000`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  await group.launch({
    name: 'sentinel',
    program: 'redis-server',
    args: [file, '--sentinel'],
    ready: /\+monitor master/,
  });
  return port;
}

async function masterPort(): Promise<number> {
  const reply = await redisCli(
    `${HOST}:${sentinelPort}`,
    ...['-a', SENTINEL_PASSWORD, '--no-auth-warning', 'SENTINEL', 'get-master-addr-by-name', MASTER],
  );
  return Number(reply.trim().split('\n').at(-1));
}

const ask = (port: number, ...words: string[]) =>
  redisCli(`${HOST}:${port}`, '-a', PASSWORD, '--no-auth-warning', ...words);

async function replicated(): Promise<number> {
  const port = await masterPort();
  await expect.poll(() => ask(port, 'WAIT', '1', '1000'), { timeout: 20_000 }).toMatch(/^1/);
  return port;
}

async function worksAgain(...tokens: string[]): Promise<void> {
  const wait = { timeout: 20_000, interval: 100 };
  const fresh = await vi.waitFor(() => issuer.issue({ sub: 'alice' }), wait);
  for (const token of [...tokens, fresh.token]) {
    const verdict = await vi.waitFor(() => verifier.verify(token), wait);
    expect(verdict.active).toBe(true);
  }
}

describe('a master that Sentinels watch', () => {
  test('serves commands, issuers, and verifiers', async () => {
    const shell = cli({ env });
    const { token } = await shell.json('token', 'issue', '--sub', 'alice');
    expect((await shell.json('token', 'verify', token)).active).toBe(true);
    expect((await verifier.verify(token)).active).toBe(true);
    const nodes = await shell.json('cache', 'nodes');
    expect(nodes.map(({ role }: { role: string }) => role)).toEqual(['master', 'replica']);
  });

  test('is found while another Sentinel hangs, and the command ends at once', async () => {
    const { port, stop } = await startSilentServer();
    try {
      const nodes = `${HOST}:${port},${HOST}:${sentinelPort}`;
      const ended = await spawnCli(['cache', 'nodes', '--json'], {
        env: { ...env, JWTCTL_REDIS_NODES: nodes, JWTCTL_TIMEOUT: '60s' },
      });
      expect(ended).toMatchObject({ exitCode: 0, signal: null });
    } finally {
      await stop();
    }
  });

  test('is found by an address with its name and its password', async () => {
    const {
      JWTCTL_REDIS_MODE: _,
      JWTCTL_REDIS_SENTINEL_MASTER: _name,
      JWTCTL_REDIS_PASSWORD: _pw,
      ...rest
    } = env;
    const nodes = `redis-sentinel://:${PASSWORD}@${env.JWTCTL_REDIS_NODES}?sentinelMasterId=${MASTER}`;
    const shell = cli({ env: { ...rest, JWTCTL_REDIS_NODES: nodes } });
    expect(await shell.json('cache', 'nodes')).toHaveLength(2);
  });

  test('is followed when another one is chosen, and when it dies', async () => {
    const { token } = await issuer.issue({ sub: 'alice' });
    await worksAgain(token);
    const first = await replicated();
    await redisCli(`${HOST}:${sentinelPort}`, '-a', SENTINEL_PASSWORD, 'SENTINEL', 'FAILOVER', MASTER);
    await expect.poll(masterPort, { timeout: 20_000 }).not.toBe(first);
    await worksAgain(token);

    const second = await replicated();
    await servers.find(({ port }) => port === second)?.stop();
    await expect.poll(masterPort, { timeout: 30_000 }).toBe(first);
    await worksAgain(token);
    const masters = () => verifier.health().masters.map(({ node }) => node);
    await expect.poll(masters, { timeout: 10_000 }).toEqual([`${HOST}:${first}`]);
  }, 120_000);
});

test.each([
  [{ JWTCTL_REDIS_SENTINEL_MASTER: 'other' }, 2, 'ERR_REDIS_MASTER_UNKNOWN', /master named 'other'/],
  [{ JWTCTL_REDIS_MODE: 'standalone' }, 2, 'ERR_CONFIG_VALUE_INVALID', /only one/],
  [{ JWTCTL_REDIS_SENTINEL_PASSWORD_FILE: '' }, 4, 'ERR_REDIS_AUTH', /NOAUTH/],
])('a wrong setting is named: %j', async (wrong, exitCode, code, text) => {
  const result = await cli({ env: { ...env, ...wrong } }).run('cache', 'nodes', '--json');
  expect([result.exitCode, result.error().code]).toEqual([exitCode, code]);
  expect(`${result.error().message} ${result.error().hint}`).toMatch(text);
});

test('a server that is no Sentinel is named', async () => {
  const nodes = servers.map(({ node }) => node).join(',');
  const { JWTCTL_REDIS_SENTINEL_PASSWORD_FILE: _, ...rest } = env;
  const passwordFile = join(folder, 'redis.password');
  writeFileSync(passwordFile, PASSWORD, { mode: 0o600 });
  const more = { JWTCTL_REDIS_NODES: nodes, JWTCTL_REDIS_SENTINEL_PASSWORD_FILE: passwordFile };
  const { exitCode, error } = await cli({ env: { ...rest, ...more } }).run('cache', 'nodes', '--json');
  expect([exitCode, error().code]).toEqual([2, 'ERR_REDIS_MODE_MISMATCH']);
});
