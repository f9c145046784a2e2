import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRedisTokenRegistry } from '../../../src/adapters/redis/token-registry.js';
import { cli } from '../../support/cli.js';
import { heartbeatOf } from '../../support/heartbeats.js';
import { closedPorts } from '../../support/proxies/silent-server.js';
import { freshMysqlDatabase } from '../../support/servers.js';
import { BACKENDS, openStores, type Stores } from '../../support/stores.js';

const DAY = 86_400;

test('before any store exists, says what to run', async () => {
  const shell = cli();
  const { exitCode, json } = await shell.run('status', '--json');
  expect(exitCode).toBe(3);
  expect(json()).toMatchObject({
    ...{ status: 'problems', schema: null, activeKey: null, tokens: null, verifiers: null },
    problems: [{ code: 'ERR_NO_STORE', hint: expect.stringContaining('jwtctl keys generate') }],
  });
  const { stdout } = await shell.run('status');
  expect(stdout).toMatch(/^status +✗ 1 problem$/m);
  expect(stdout).toContain('jwtctl keys generate');
});

describe.each(BACKENDS)('status, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
  });
  afterAll(() => stores?.close());

  test('tells one story from the first key to a late rotation', async () => {
    if (stores.isCluster) {
      const empty = await stores.run('status', '--json');
      expect(empty.exitCode).toBe(3);
      expect(empty.json()).toMatchObject({
        ...{ schema: { current: true }, tokens: { tokens: 0 } },
        problems: [{ code: 'ERR_NO_ACTIVE_KEY', hint: expect.stringContaining('keys generate') }],
      });
    }
    await stores.json('keys', 'generate', '--kid', 'k1');
    const first = await stores.json('status');
    expect(first).toMatchObject({
      status: 'warnings',
      activeKey: { kid: 'k1' },
      nextRotation: { kid: null },
    });
    expect(first.warnings).toEqual([expect.stringContaining('No pending key is published')]);

    await stores.json('keys', 'generate', '--kid', 'k2');
    await stores.run('users', 'add', 'alice');
    for (let count = 0; count < 3; count++) await stores.json('token', 'issue', '--sub', 'alice');
    const before = await stores.content();
    const now = stores.clock.now();
    expect(await stores.json('status')).toMatchObject({
      ...{ status: 'ok', at: now, database: { engine: stores.isCluster ? 'mysql' : 'sqlite' } },
      schema: { current: true, pending: [], unknown: [] },
      activeKey: { kid: 'k1', alg: 'RS256', activatedAt: now },
      ...{ pendingKeys: 1, nextRotation: { kid: 'k2' } },
      registry: { nodes: stores.isCluster ? 6 : 1, unreachable: [] },
      tokens: { tokens: 3, subjects: 1, complete: true },
      ...{ verifiers: [], problems: [], warnings: [] },
    });
    const { stdout, stderr, exitCode } = await stores.run('status');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^status +✓ ok$/m);
    expect(stdout).toMatch(/^live tokens +3 tokens of 1 user$/m);
    expect(stdout).toMatch(/^active key +k1, RS256, activated now$/m);
    expect(stdout).toMatch(/^next rotation +in \S+ \(.*\), to k2$/m);
    expect(stdout).toMatch(stores.isCluster ? /3 masters and 3 replicas/ : /in the embedded store/);
    expect(`${stdout}${stderr}`).not.toMatch(/mysql:\/\//);
    expect(await stores.content()).toBe(before);

    stores.clock.advance(first.nextRotation.at - now + DAY);
    const late = await stores.json('status');
    expect(late.warnings).toEqual([expect.stringContaining('The rotation of key k1 is late')]);
  });
});

describe('status, on MariaDB and a Redis Cluster,', () => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TIMEOUT: '1s' });
    await stores.json('keys', 'generate', '--kid', 'k1');
    await stores.json('keys', 'generate', '--kid', 'k2');
    await stores.run('users', 'add', 'alice');
    await stores.json('token', 'issue', '--sub', 'alice');
  });
  afterAll(() => stores?.close());
  const on = (env: Record<string, string>) =>
    cli({ clock: stores.clock, home: stores.home, env: { ...stores.env, ...env } });

  test('shows the rest if MySQL is away, and exits with 4', async () => {
    const [port] = await closedPorts(1);
    const url = `mysql://app:hunter2@127.0.0.1:${port}/jwt`;
    const { exitCode, json } = await on({ JWTCTL_MYSQL_URL: url }).run('status', '--json');
    expect(exitCode).toBe(4);
    expect(json()).toMatchObject({
      ...{ schema: null, activeKey: null, tokens: { tokens: 1, complete: true }, verifiers: [] },
      problems: [{ code: 'ERR_MYSQL_UNREACHABLE' }],
    });
    const { stdout, stderr } = await on({ JWTCTL_MYSQL_URL: url }).run('status');
    expect(stdout).toContain(`MySQL at 127.0.0.1:${port}, database jwt`);
    expect(stdout + stderr).not.toContain('hunter2');
  });

  test('shows the rest if Redis is away, and exits with 4', async () => {
    const [port] = await closedPorts(1);
    const away = on({ JWTCTL_REDIS_NODES: `127.0.0.1:${port}` });
    const { exitCode, json } = await away.run('status', '--json');
    expect(exitCode).toBe(4);
    expect(json()).toMatchObject({
      ...{ schema: { current: true }, activeKey: { kid: 'k1' }, registry: null, tokens: null },
      problems: [{ code: 'ERR_REDIS_UNREACHABLE' }],
    });
  });

  test('exits with 5 if one master is away', async () => {
    const [master] = [...(await (stores.redis?.keys() ?? expect.unreachable())).keys()];
    const [port] = await closedPorts(1);
    const partial = on({ JWTCTL_REDIS_NAT_MAP: `${master}=127.0.0.1:${port}` });
    const { exitCode, json } = await partial.run('status', '--json');
    expect(exitCode).toBe(5);
    expect(json()).toMatchObject({ status: 'warnings', tokens: { complete: false }, problems: [] });
    expect(json().registry.unreachable).toHaveLength(1);
    expect(json().warnings.join()).toMatch(/does not respond.*Not read: slots/);
    expect((await partial.run('status')).stdout).toMatch(/^live tokens +at least /m);
  });

  test('exits with 3 if the schema is not migrated', async () => {
    const { url, drop } = await freshMysqlDatabase();
    const { exitCode, json } = await on({ JWTCTL_MYSQL_URL: url }).run('status', '--json');
    await drop();
    expect(exitCode).toBe(3);
    expect(json()).toMatchObject({
      schema: { current: false },
      problems: [{ code: 'ERR_SCHEMA_OUTDATED', hint: expect.stringContaining('jwtctl db migrate') }],
    });
  });

  test('lists the running verifiers, and warns of one that lacks a key', async () => {
    const [host = '', port] = String(stores.env.JWTCTL_REDIS_NODES).split(',')[0]?.split(':') ?? [];
    const { registry, close } = openRedisTokenRegistry({
      ...{ nodes: [{ host, port: Number(port) }], mode: 'cluster', prefix: String(stores.redis?.prefix) },
      ...{ clockToleranceSeconds: 5, timeoutMs: 5_000, isTls: false },
    });
    await registry.report(heartbeatOf('one', stores.clock.now(), { kids: ['k1'] }));
    const { verifiers, warnings } = await stores.json('status');
    await registry.deregister('one');
    await close();
    expect(verifiers).toMatchObject([{ id: 'one', host: 'host-one', pid: 4711 }]);
    expect(warnings).toEqual([expect.stringMatching(/not loaded the pending key .*: host-one \(pid 4711\)/)]);
  });

  test('exits with 3 if the database came back from a backup', async () => {
    const rows = await stores.query('SELECT * FROM keystore_revision');
    const [{ revision } = {}] = rows;
    await stores.run('keys', 'generate', '--kid', 'k3');
    await stores.query("DELETE FROM keystore WHERE kid = 'k3'");
    await stores.query('UPDATE keystore_revision SET revision = ?', [String(revision)]);
    const { exitCode, json } = await stores.run('status', '--json');
    expect(exitCode).toBe(3);
    expect(json().problems).toMatchObject([{ code: 'ERR_DATABASE_BEHIND' }]);
  });
});
