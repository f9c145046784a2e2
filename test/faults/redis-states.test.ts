import { afterEach, expect, test } from 'vitest';
import { redisCli } from '../adapters/redis/registry-under-test.js';
import { type Cli, cli } from '../support/cli.js';
import { parseNdjson } from '../support/ndjson.js';
import { startRedisCluster } from '../support/servers.js';
import { openStores, type Stores } from '../support/stores.js';

const SUBS = Array.from({ length: 12 }, (_, index) => `user-${index}`);

const closers: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

type Cluster = Awaited<ReturnType<typeof startRedisCluster>>;

async function openShell(cluster: Cluster): Promise<{ stores: Stores; shell: Cli }> {
  const stores = await openStores('MariaDB and a Redis Cluster');
  closers.push(() => stores.close());
  const env = {
    ...{ ...stores.env, JWTCTL_REDIS_NODES: cluster.nodes.map(({ node }) => node).join(',') },
    ...{ JWTCTL_TIMEOUT: '2s', ...(cluster.tls === null ? {} : { JWTCTL_REDIS_TLS_CA: cluster.tls.ca }) },
  };
  const shell = cli({ ...stores, env });
  await shell.json('keys', 'generate');
  return { stores, shell };
}

/** Issues a token to each subject. */
async function issueAll(shell: Cli): Promise<Map<string, string>> {
  const stdin = SUBS.map((sub) => `${sub}\n`).join('');
  const words = ['token', 'issue', '--sub-file', '-', '--create-user', '-o', 'ndjson'];
  const { stdout } = await shell.run(...words, { stdin });
  const issued = parseNdjson(stdout);
  return new Map(issued.map(({ sub, token }) => [sub, token]));
}

async function subjectsOn(node: string): Promise<string[]> {
  const keys = await redisCli(node, 'KEYS', '*{user-*}');
  return [...keys.matchAll(/\{(user-\d+)\}/g)].map(([, sub = '']) => sub);
}

async function outcomeOf(shell: Cli, ...words: string[]) {
  const { exitCode, stdout, stderr } = await shell.run(...words, '--json');
  const { code = null, message = null } = stdout === '' ? JSON.parse(stderr).error : {};
  return { exitCode, code, message, output: stdout === '' ? null : JSON.parse(stdout) };
}

/** Issues a token for each subject. `sub` is on the master `node`, `other` is on another one. */
async function openWithTokens(cluster: Awaited<ReturnType<typeof startRedisCluster>>) {
  closers.push(cluster.stop);
  const { shell } = await openShell(cluster);
  const tokens = await issueAll(shell);
  const node = cluster.nodes[1]?.node ?? expect.unreachable();
  const here = await subjectsOn(node);
  const [sub = expect.unreachable()] = here;
  const other = SUBS.find((one) => !here.includes(one)) ?? expect.unreachable();
  return { shell, tokens, node, sub, other };
}

test('one master that loads its data: what needs it is refused and names it, the rest works', async () => {
  const cluster = await startRedisCluster({
    ...{ replicasPerMaster: 0, nodeTimeoutMs: 60_000 },
    config: ['enable-debug-command yes', 'loading-process-events-interval-bytes 1024'],
  });
  const { shell, tokens, node, sub, other } = await openWithTokens(cluster);
  await redisCli(node, 'DEBUG', 'POPULATE', 2000, `ballast`, 100);
  await redisCli(node, 'CONFIG', 'SET', 'key-load-delay', 5000);
  const loading = redisCli(node, 'DEBUG', 'RELOAD').catch(() => {});
  await expect.poll(() => redisCli(node, 'PING').catch(String)).toContain('LOADING');

  const verify = (one: string) => outcomeOf(shell, 'token', 'verify', tokens.get(one) ?? '');
  const notReady = { exitCode: 4, code: 'ERR_REDIS_NOT_READY', message: expect.stringContaining(node) };
  expect(await verify(sub)).toMatchObject(notReady);
  expect(await outcomeOf(shell, 'token', 'issue', '--sub', sub)).toMatchObject(notReady);
  expect(await outcomeOf(shell, 'token', 'list', '--sub', sub)).toMatchObject(notReady);
  expect(await outcomeOf(shell, 'cache', 'inspect')).toMatchObject(notReady);
  expect(await verify(other)).toMatchObject({ exitCode: 0, output: { active: true } });
  expect(await outcomeOf(shell, 'token', 'issue', '--sub', other)).toMatchObject({ exitCode: 0 });
  expect(await outcomeOf(shell, 'cache', 'nodes')).toMatchObject({ exitCode: 0 });
  expect(await outcomeOf(shell, 'token', 'revoke', '--sub', sub, '--all', '--yes')).toMatchObject({
    ...{ exitCode: 4, code: 'ERR_RECORDED_NOT_APPLIED', message: expect.stringContaining(node) },
  });
  await loading;
  const code = async () => (await verify(sub)).output?.error?.code;
  await expect.poll(code, { timeout: 30_000 }).toBe('ERR_TOKEN_REVOKED');
}, 60_000);

test('one full master: it registers nothing and is named, and everything else works', async () => {
  const cluster = await startRedisCluster({ replicasPerMaster: 0, nodeTimeoutMs: 60_000 });
  const { shell, tokens, node, sub, other } = await openWithTokens(cluster);
  await redisCli(node, 'CONFIG', 'SET', 'maxmemory', 1);
  const verify = () => outcomeOf(shell, 'token', 'verify', tokens.get(sub) ?? '');
  expect(await verify()).toMatchObject({ exitCode: 0, output: { active: true } });
  expect(await outcomeOf(shell, 'token', 'issue', '--sub', sub)).toMatchObject({
    ...{ exitCode: 4, code: 'ERR_REDIS_OUT_OF_MEMORY', message: expect.stringContaining(node) },
  });
  expect(await outcomeOf(shell, 'token', 'issue', '--sub', other)).toMatchObject({ exitCode: 0 });
  const listed = await outcomeOf(shell, 'token', 'list', '--sub', sub);
  expect(listed).toMatchObject({ exitCode: 0, output: [{ sub }] });
  expect(await outcomeOf(shell, 'cache', 'inspect')).toMatchObject({
    exitCode: 0,
    output: { complete: true },
  });
  expect(await outcomeOf(shell, 'token', 'revoke', '--sub', sub, '--all', '--yes')).toMatchObject({
    ...{ exitCode: 0, output: { revoked: 1, complete: true } },
  });
  expect(await verify()).toMatchObject({ output: { error: { code: 'ERR_TOKEN_REVOKED' } } });
}, 60_000);

test('a cluster whose nodes speak only TLS, also to each other', async () => {
  const cluster = await startRedisCluster({ tls: 'on' });
  closers.push(cluster.stop);
  const { shell } = await openShell(cluster);
  const tokens = await issueAll(shell);
  expect(tokens.size).toBe(SUBS.length);
  expect(await outcomeOf(shell, 'cache', 'inspect')).toMatchObject({
    exitCode: 0,
    output: { complete: true },
  });
  const { output: nodes } = await outcomeOf(shell, 'cache', 'nodes');
  expect(nodes.map((node: { reachable: boolean }) => node.reachable)).toEqual(Array(6).fill(true));
  const revoked = await outcomeOf(shell, 'token', 'revoke', '--sub', 'user-0', '--all', '--yes');
  expect(revoked.output).toMatchObject({ revoked: 1, replicasConfirmed: 1 });
  const verify = (sub: string) => outcomeOf(shell, 'token', 'verify', tokens.get(sub) ?? '');
  expect(await verify('user-0')).toMatchObject({ output: { error: { code: 'ERR_TOKEN_REVOKED' } } });
  expect(await verify('user-1')).toMatchObject({ exitCode: 0 });
}, 60_000);
