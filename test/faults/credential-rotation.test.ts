import { randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type OpenIssuer, openIssuer } from '../../src/issuer/open-issuer.js';
import { type OpenVerifier, openVerifier } from '../../src/verifier/open-verifier.js';
import { redisCli } from '../adapters/redis/registry-under-test.js';
import { cli, temporaryFolder } from '../support/cli.js';
import { startMysql, startRedisCluster } from '../support/servers.js';
import { writeMasterKey } from '../support/stores.js';

const ACCOUNT = 'rotated';
const folder = temporaryFolder();
const files = { mysql: join(folder, 'mysql.password'), redis: join(folder, 'redis.password') };
let mysql: Awaited<ReturnType<typeof startMysql>>;
let redis: Awaited<ReturnType<typeof startRedisCluster>>;
let issuer: OpenIssuer;
let verifier: OpenVerifier;

beforeAll(async () => {
  [mysql, redis] = await Promise.all([startMysql(), startRedisCluster({ replicasPerMaster: 0 })]);
  await administer(
    'CREATE DATABASE rotation',
    `CREATE USER ${ACCOUNT}`,
    `GRANT ALL ON rotation.* TO ${ACCOUNT}`,
  );
  await rotate();
  const url = `mysql://${ACCOUNT}@${mysql.host}:${mysql.port}/rotation`;
  const nodes = redis.nodes.map(({ node }) => node).join(',');
  const masterKey = writeMasterKey(folder);
  const shell = cli({
    env: {
      ...{
        JWTCTL_MYSQL_URL: url,
        JWTCTL_MYSQL_PASSWORD_FILE: files.mysql,
        JWTCTL_MASTER_KEY_FILE: masterKey,
      },
      ...{
        JWTCTL_REDIS_NODES: nodes,
        JWTCTL_REDIS_USERNAME: ACCOUNT,
        JWTCTL_REDIS_PASSWORD_FILE: files.redis,
      },
    },
  });
  await shell.json('db', 'migrate');
  await shell.json('keys', 'generate');
  await shell.json('users', 'add', 'alice');
  const settings = {
    mysql: { url, passwordFile: files.mysql },
    redis: { nodes, username: ACCOUNT, passwordFile: files.redis },
    masterKey: { file: masterKey },
    timeout: '3s',
  };
  [issuer, verifier] = await Promise.all([
    openIssuer({
      ...settings,
      mysql: { url, passwordCommand: `cat ${files.mysql}` },
      redis: { nodes, username: ACCOUNT, passwordCommand: `cat ${files.redis}` },
    }),
    openVerifier({ ...settings, nearCache: true }),
  ]);
}, 60_000);
afterAll(async () => {
  await Promise.all([issuer?.close(), verifier?.close()]);
  await Promise.all([mysql?.stop(), redis?.stop()]);
});

async function administer(...statements: string[]): Promise<void> {
  const connection = await createConnection(mysql.url);
  try {
    for (const statement of statements) await connection.query(statement);
  } finally {
    await connection.end();
  }
}

/** Sets new passwords for both stores, in the servers and the files, then ends every session with the old ones. */
async function rotate(): Promise<void> {
  const [forMysql = '', forRedis = ''] = [0, 1].map(() => randomBytes(12).toString('hex'));
  await administer(`ALTER USER ${ACCOUNT} IDENTIFIED BY '${forMysql}'`);
  const rules = ['on', 'resetpass', `>${forRedis}`, '~*', '&*', '+@all'];
  for (const { node } of redis.nodes) await redisCli(node, 'ACL', 'SETUSER', ACCOUNT, ...rules);
  for (const [file, password] of [
    [files.mysql, forMysql],
    [files.redis, forRedis],
  ] as const) {
    writeFileSync(`${file}.new`, `${password}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
  await endSessions();
}

async function endSessions(): Promise<void> {
  const connection = await createConnection(mysql.url);
  const [rows] = await connection.query(
    `SELECT id FROM information_schema.processlist WHERE user = '${ACCOUNT}'`,
  );
  for (const { id } of rows as Array<{ id: number }>) await connection.query(`KILL ${id}`).catch(() => {});
  await connection.end();
  for (const { node } of redis.nodes) await redisCli(node, 'CLIENT', 'KILL', 'USER', ACCOUNT).catch(() => {});
}

test('a running issuer and verifier keep working after the passwords of both stores, in files and from commands, are rotated', async () => {
  const { token } = await issuer.issue({ sub: 'alice' });
  expect((await verifier.verify(token)).active).toBe(true);

  for (let rotation = 0; rotation < 3; rotation++) {
    await rotate();
    // A request that was in progress when its session ended may fail.
    const issued = await vi.waitFor(() => issuer.issue({ sub: 'alice' }), { timeout: 15_000, interval: 100 });
    await vi.waitFor(() => verifier.verify(issued.token), { timeout: 15_000, interval: 100 });
    for (let count = 0; count < 20; count++) {
      const fresh = await issuer.issue({ sub: 'alice' });
      expect((await verifier.verify(fresh.token)).active).toBe(true);
      expect((await verifier.verify(token)).active).toBe(true);
    }
  }
}, 90_000);

test('a running issuer and verifier are unavailable while the passwords cannot be read', async () => {
  const { token } = await issuer.issue({ sub: 'alice' });
  for (const file of Object.values(files)) renameSync(file, `${file}.away`);
  await endSessions();
  const failure = (work: Promise<unknown>) =>
    work.then(
      () => null,
      ({ kind, code }) => `${kind} ${code}`,
    );
  const seen = new Set<string | null>();
  const bothFail = async () => {
    const failures = await Promise.all([
      failure(verifier.verify(token)),
      failure(issuer.issue({ sub: 'alice' })),
    ]);
    for (const each of failures) seen.add(each);
    return failures;
  };
  const areAway = ['unavailable ERR_CONFIG_FILE_MISSING', 'unavailable ERR_PASSWORD_COMMAND_FAILED'];
  await expect.poll(bothFail, { timeout: 10_000, interval: 50 }).toEqual(areAway);
  for (const each of seen) expect(each ?? 'unavailable').toContain('unavailable');

  for (const file of Object.values(files)) renameSync(`${file}.away`, file);
  await vi.waitFor(() => verifier.verify(token), { timeout: 15_000, interval: 100 });
  await vi.waitFor(() => issuer.issue({ sub: 'alice' }), { timeout: 15_000, interval: 100 });
}, 60_000);
