import { once } from 'node:events';
import { chmodSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openRedisTokenRegistry } from '../../../src/adapters/redis/token-registry.js';
import { makeCertificateAuthority } from '../../support/certificates.js';
import { type Cli, cli } from '../../support/cli.js';
import { heartbeatOf } from '../../support/heartbeats.js';
import { closedPorts } from '../../support/proxies/silent-server.js';
import { administer, freshMysqlDatabase } from '../../support/servers.js';
import { BACKENDS, openStores, type Stores, writeMasterKey } from '../../support/stores.js';
import { verifiersOver } from '../../support/verifiers.js';

type Finding = Record<'level' | 'message' | 'remedy' | 'code', string>;

/** Brings the clock to the host's time, because the clocks of the servers run on during the tests. */
const catchUp = ({ clock }: Cli) => clock.until(Date.now() / 1000);

/** Makes one check. The text has the messages of its findings. */
async function check(shell: Cli, name: string, ...flags: string[]) {
  await catchUp(shell);
  const { exitCode, json } = await shell.run('doctor', '--only', name, ...flags, '--json');
  const [{ result, findings }] = json().checks;
  const text = findings.map(({ message, remedy }: Finding) => `${message} ${remedy}`).join('\n');
  return { exitCode, result, text, codes: findings.map(({ code }: Finding) => code) };
}

const OK = { exitCode: 0, result: 'ok', text: '' };

describe.each(BACKENDS)('doctor, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend, {}, { leastRights: true });
    await stores.json('keys', 'generate', '--kid', 'k1');
    await stores.run('users', 'add', 'alice');
    await stores.json('token', 'issue', '--sub', 'alice');
  });
  afterAll(() => stores?.close());

  test('only warns that no key is pending, and finds nothing once one is', async () => {
    expect(await check(stores, 'pending-key')).toMatchObject({
      ...{ exitCode: 0, result: 'warning', text: expect.stringContaining('jwtctl keys rotate') },
    });
    await stores.json('keys', 'generate', '--kid', 'k2');
    const before = await stores.content();
    await catchUp(stores);
    const { exitCode, json } = await stores.run('doctor', '--json');
    expect(json()).toMatchObject({ ok: true, errors: 0, warnings: 0 });
    expect(exitCode).toBe(0);
    expect(await stores.content()).toBe(before);
    await catchUp(stores);
    expect((await stores.run('doctor')).stdout).toMatch(/^✓ \d+ checks: 0 errors, 0 warnings$/m);
  });

  test('lists the checks without making them', async () => {
    const names = (await stores.run('doctor', '--list', '-q')).lines();
    await catchUp(stores);
    const { checks } = await stores.json('doctor');
    expect(names).toEqual(checks.map(({ check }: { check: string }) => check));
    expect((await stores.run('doctor', '--only', 'no-such-check')).exitCode).toBe(2);
  });

  test('warns of a late rotation', async () => {
    const shell = cli({ env: stores.env, home: stores.home });
    expect(await check(shell, 'key-age')).toMatchObject(OK);
    shell.clock.advance(40 * 86_400);
    expect(await check(shell, 'key-age')).toMatchObject({
      ...{ exitCode: 0, result: 'warning', text: expect.stringContaining('key k1 is late') },
    });
  });

  test('names each private key that another master key seals', async () => {
    const file = writeMasterKey(stores.home, 'other.key');
    const other = cli({ home: stores.home, env: { ...stores.env, JWTCTL_MASTER_KEY_FILE: file } });
    const { exitCode, result, text } = await check(other, 'private-keys');
    expect({ exitCode, result }).toEqual({ exitCode: 1, result: 'error' });
    expect(text).toMatch(/Key k1 \(active\): .*\n.*Key k2 \(pending\): /);
  });

  test('warns of a secret that other users can read', async () => {
    const file = writeMasterKey(stores.home, 'open.key');
    chmodSync(file, 0o644);
    const open = cli({ home: stores.home, env: { ...stores.env, JWTCTL_MASTER_KEY_FILE: file } });
    const { exitCode, result, text } = await check(open, 'configuration');
    expect({ exitCode, result }).toEqual({ exitCode: 0, result: 'warning' });
    expect(text).toContain('chmod 600');
  });

  test('finds a served JWK Set that lacks a key or has a foreign one', async () => {
    const { keys } = await stores.json('keys', 'export', '--jwks');
    let shown = keys;
    const server = createServer((_request, response) => response.end(JSON.stringify({ keys: shown })));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
    try {
      expect(await check(stores, 'published-keys', '--url', url)).toMatchObject(OK);
      shown = [keys[0], { ...keys[0], kid: 'old' }];
      const { exitCode, text } = await check(stores, 'published-keys', '--url', url);
      expect(exitCode).toBe(1);
      expect(text).toMatch(/key k2 is not published.*\n.*shows the key old, but the database does not/);
    } finally {
      server.closeAllConnections();
      server.close();
    }
    expect(await check(stores, 'published-keys', '--url', url)).toMatchObject({
      ...{ exitCode: 1, codes: ['ERR_PUBLISH_URL_UNREACHABLE'] },
    });
    expect((await stores.run('doctor', '--url', 'file:///etc/passwd')).exitCode).toBe(2);
  });

  test('names a private key that does not match its public key', async () => {
    const [{ public_key: own } = {}] = await stores.query("SELECT public_key FROM keystore WHERE kid = 'k1'");
    const other = "SELECT public_key FROM keystore WHERE kid = 'k2'";
    const [{ public_key: foreign } = {}] = await stores.query(other);
    const write = "UPDATE keystore SET public_key = ? WHERE kid = 'k1'";
    await stores.query(write, [String(foreign)]);
    const { exitCode, text } = await check(stores, 'private-keys');
    await stores.query(write, [String(own)]);
    expect([exitCode, text]).toEqual([1, expect.stringContaining('Key k1 (active)')]);
    expect(await check(stores, 'private-keys')).toMatchObject(OK);
  });

  test('warns of tokens whose key the database does not have', async () => {
    await stores.json('keys', 'generate', '--kid', 'k3');
    await stores.json('keys', 'activate', 'k3', '--now');
    await stores.json('token', 'issue', '--sub', 'alice');
    await stores.query("DELETE FROM keystore WHERE kid = 'k3'");
    expect(await check(stores, 'entries')).toMatchObject({
      ...{ exitCode: 0, result: 'warning', text: expect.stringContaining('database does not have: 1') },
    });
    await stores.json('cache', 'flush', '--all', '--yes');
  });

  test('warns of subjects without a user', async () => {
    await stores.query("UPDATE keystore SET state = 'active' WHERE kid = 'k2'");
    await stores.json('token', 'issue', '--sub', 'alice');
    expect(await check(stores, 'entries')).toMatchObject(OK);
    await stores.query("DELETE FROM users WHERE sub = 'alice'");
    expect(await check(stores, 'entries')).toMatchObject({
      ...{ exitCode: 0, result: 'warning', text: expect.stringContaining('not in the user directory: 1') },
    });
  });
});

test('reports invalid settings as findings, and makes no other check', async () => {
  const shell = cli({ env: { JWTCTL_TIMEOUT: 'x', JWTCTL_TOKEN_TTL: '-1' } });
  const { exitCode, json } = await shell.run('doctor', '--json');
  const { checks, errors } = json();
  expect([exitCode, errors]).toEqual([1, 1]);
  const [{ result, findings }, ...others] = checks;
  expect({ result, findings }).toMatchObject({
    result: 'error',
    findings: [{ level: 'error' }, { level: 'error' }],
  });
  expect(new Set(others.map((check: { result: string }) => check.result))).toEqual(new Set(['not_made']));
  expect((await shell.run('doctor', '--only', 'memory')).exitCode).toBe(2);
});

test('commands that only read, and dry runs, leave an outdated embedded store as it is', async () => {
  const stores = await openStores('SQLite');
  const { kid } = await stores.json('keys', 'generate');
  await stores.json('users', 'add', 'alice');
  const { token } = await stores.json('token', 'issue', '--sub', 'alice');
  await stores.query('DELETE FROM jwtctl_migration WHERE name = (SELECT max(name) FROM jwtctl_migration)');
  const rows = () => stores.query('SELECT name FROM jwtctl_migration');
  const before = await rows();
  expect((await check(stores, 'schema')).text).toContain('jwtctl db migrate');
  expect(await check(stores, 'active-key')).toMatchObject({ codes: ['ERR_SCHEMA_OUTDATED'] });
  const { checks } = (await stores.run('doctor', '--json')).json();
  const errors = checks.filter(({ result }: { result: string }) => result === 'error');
  expect(errors).toMatchObject([{ check: 'schema', findings: [{ code: 'ERR_SCHEMA_OUTDATED' }] }]);
  const backup = join(stores.home, 'backup');
  for (const words of [
    ...[['status'], ['metrics'], ['events', 'follow', '--once', '--from', '0']],
    ['config', 'validate', '--connect'],
    ...[
      ['keys', 'list'],
      ['keys', 'show', kid],
      ['keys', 'usage'],
      ['keys', 'export'],
    ],
    ...[
      ['users', 'list'],
      ['users', 'show', 'alice'],
    ],
    ...[
      ['token', 'list', '--sub', 'alice'],
      ['token', 'explain', token],
      ['token', 'verify', token],
    ],
    ...[
      ['cache', 'inspect'],
      ['cache', 'inspect', '--html', '-'],
      ['cache', 'snapshot', backup],
    ],
    ...[
      ['cache', 'get', '--sub', 'alice', '--jti', 'x'],
      ['audit', 'list'],
      ['audit', 'verify'],
    ],
    ['audit', 'export', backup],
    ...[
      ['keys', 'generate', '--dry-run'],
      ['token', 'issue', '--sub', 'alice', '--dry-run'],
      ['cache', 'flush', '--all', '--dry-run'],
    ],
  ]) {
    const { exitCode, stdout, stderr } = await stores.run(...words);
    expect({ words, exitCode }).toEqual({ words, exitCode: 3 });
    if (!['status', 'metrics'].includes(String(words[0])))
      expect((stdout + stderr).replace(/\s+/g, ' ')).toContain('jwtctl db migrate');
  }
  expect(await rows()).toEqual(before);
  await stores.json('users', 'add', 'bob');
  expect(await rows()).not.toEqual(before);
});

test('prints no password of --url', async () => {
  const url = 'https://bob:hunter2@id.example/jwks.json';
  const { exitCode, stdout, stderr } = await cli().run('doctor', '--url', url);
  expect(exitCode).toBe(2);
  expect(stdout + stderr).not.toContain('hunter2');
});

test('the guide lists each check with its title', async () => {
  const guide = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
  const checks: Array<{ check: string; title: string }> = await cli().json('doctor', '--list');
  expect(checks).toHaveLength(20);
  const missing = checks.filter(({ check, title }) => !guide.includes(`| \`${check}\` | ${title} |`));
  expect(missing).toEqual([]);
});

test('before any store exists, each check that needs one says what to run', async () => {
  const { exitCode, json } = await cli().run('doctor', '--json');
  expect(exitCode).toBe(1);
  const { checks } = json();
  expect(checks.find(({ check }: { check: string }) => check === 'configuration').result).toBe('ok');
  expect(checks.find(({ check }: { check: string }) => check === 'database').findings).toMatchObject([
    { code: 'ERR_NO_STORE', remedy: expect.stringContaining('jwtctl keys generate') },
  ]);
});

describe('doctor, on MariaDB and a Redis Cluster,', () => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TIMEOUT: '1s' });
  });
  afterAll(() => stores?.close());
  const on = (env: Record<string, string>) => cli({ home: stores.home, env: { ...stores.env, ...env } });

  test('finds that no key is active', async () => {
    expect(await check(stores, 'active-key')).toMatchObject({ exitCode: 1, codes: ['ERR_NO_ACTIVE_KEY'] });
    await stores.json('keys', 'generate', '--kid', 'k1');
    await stores.json('keys', 'generate', '--kid', 'k2');
    expect(await check(stores, 'active-key')).toMatchObject(OK);
  });

  test('makes the other checks while MySQL is away', async () => {
    const [port] = await closedPorts(1);
    const { exitCode, json } = await on({ JWTCTL_MYSQL_URL: `mysql://app@127.0.0.1:${port}/jwt` }).run(
      ...['doctor', '--json'],
    );
    expect(exitCode).toBe(1);
    const results = new Map(json().checks.map((one: Record<string, unknown>) => [one.check, one]));
    expect(results.get('database')).toMatchObject({ findings: [{ code: 'ERR_MYSQL_UNREACHABLE' }] });
    for (const name of ['schema', 'active-key', 'private-keys', 'entries'])
      expect(results.get(name), name).toMatchObject({ findings: [], reason: 'The check `database` failed.' });
    for (const name of ['registry', 'slots', 'replicas', 'eviction', 'memory'])
      expect(results.get(name), name).toMatchObject({ result: 'ok' });
  });

  test('makes the other checks while Redis is away', async () => {
    const [port] = await closedPorts(1);
    const away = on({ JWTCTL_REDIS_NODES: `127.0.0.1:${port}` });
    expect(await check(away, 'registry')).toMatchObject({ exitCode: 1, codes: ['ERR_REDIS_UNREACHABLE'] });
    expect(await check(away, 'database')).toMatchObject(OK);
  });

  test('finds an outdated schema, and a user table that does not exist', async () => {
    const { url, drop } = await freshMysqlDatabase();
    const { exitCode, text } = await check(on({ JWTCTL_MYSQL_URL: url }), 'schema');
    const all = (await on({ JWTCTL_MYSQL_URL: url }).run('doctor')).stdout;
    await drop();
    expect(all.match(/no tables of jwtctl/g)).toHaveLength(1);
    expect(all).toMatch(/^✗ schema\n.*no tables of jwtctl/m);
    expect(all.match(/ skipped\. The check `schema` failed\./g)).toHaveLength(10);
    expect([exitCode, text]).toEqual([1, expect.stringContaining('jwtctl db migrate')]);
    const table = { JWTCTL_USERS_SOURCE: 'table', JWTCTL_USERS_TABLE: 'acounts', JWTCTL_USERS_COLUMN: 'id' };
    expect(await check(on(table), 'users')).toMatchObject({
      ...{ exitCode: 1, codes: ['ERR_USER_TABLE_UNREADABLE'] },
    });
  });

  test('finds clocks that differ', async () => {
    const ahead = on({});
    expect(await check(ahead, 'clocks')).toMatchObject(OK);
    ahead.clock.advance(7_200);
    const { exitCode, text } = await check(ahead, 'clocks');
    expect(exitCode).toBe(1);
    // The test clock stands still until the servers respond.
    expect(text).toMatch(/(2h|1h5\dm)\w* ahead of the clock of MySQL/);
    expect(text.match(/(2h|1h5\dm)\w* ahead of the clock of Redis at /g)).toHaveLength(6);
  });

  test('finds a set that never expires, and a member that is not a token', async () => {
    await stores.json('token', 'issue', '--sub', 'bob', '--create-user');
    const { client, prefix } = stores.redis ?? expect.unreachable();
    await client.persist(`${prefix}:{bob}`);
    expect((await check(stores, 'entries')).text).toContain('never expires: 1');
    await client.zadd(`${prefix}:{bob}`, 1e10, 'nonsense');
    expect((await check(stores, 'entries')).text).toContain('not tokens: 1');
  });

  test('warns of a verifier that lacks a key', async () => {
    const [host = '', port] = String(stores.env.JWTCTL_REDIS_NODES).split(',')[0]?.split(':') ?? [];
    const { registry, close } = openRedisTokenRegistry({
      ...{ nodes: [{ host, port: Number(port) }], mode: 'cluster', prefix: String(stores.redis?.prefix) },
      ...{ clockToleranceSeconds: 5, timeoutMs: 5_000, isTls: false },
    });
    await catchUp(stores);
    await registry.report(heartbeatOf('one', stores.clock.now(), { kids: ['k1'] }));
    const found = await check(stores, 'verifiers');
    await registry.deregister('one');
    await close();
    expect(found).toMatchObject({ exitCode: 0, result: 'warning' });
    expect(found.text).toContain('pending key k2: host-one (pid 4711)');
    expect(await check(stores, 'verifiers')).toMatchObject(OK);
  });

  test('finds that a certificate is not trusted', async () => {
    const ca = makeCertificateAuthority('another CA').file;
    expect(await check(on({ JWTCTL_REDIS_TLS_CA: ca }), 'registry')).toMatchObject({
      ...{ exitCode: 1, codes: ['ERR_REDIS_TLS'] },
    });
    expect(await check(on({ JWTCTL_MYSQL_TLS_CA: ca }), 'database')).toMatchObject({
      ...{ exitCode: 1, codes: ['ERR_MYSQL_TLS'] },
    });
  });

  test('names each right that an account lacks, and each that it does not need', async () => {
    const least = await openStores('MariaDB and a Redis Cluster', {}, { leastRights: true });
    const { username: user, pathname } = new URL(String(least.env.JWTCTL_MYSQL_URL));
    const { client } = least.redis ?? expect.unreachable();
    const everywhere = (...rules: string[]) =>
      Promise.all(client.nodes('all').map((node) => node.call('ACL', 'SETUSER', user, ...rules)));
    try {
      expect(await check(least, 'rights')).toMatchObject(OK);

      await administer(`REVOKE INSERT ON ${pathname.slice(1)}.audit_log FROM '${user}'`);
      await everywhere('-wait', '-cluster|shards', '-hset');
      const lacking = await check(least, 'rights');
      expect(lacking.exitCode).toBe(1);
      for (const right of ['INSERT on audit_log', '+wait', '+cluster|shards', '+hset'])
        expect(lacking.text).toContain(`lacks ${right}. Run as an administrator: `);

      await administer(
        `GRANT INSERT ON ${pathname.slice(1)}.audit_log TO '${user}'`,
        `GRANT DROP, UPDATE ON ${pathname.slice(1)}.* TO '${user}'`,
        `GRANT SUPER ON *.* TO '${user}'`,
      );
      await everywhere('+@all', '~*');
      const broad = await check(least, 'rights');
      expect([broad.exitCode, broad.result]).toEqual([0, 'warning']);
      expect(broad.text).toMatch(/REVOKE SUPER ON \*\.\* FROM /);
      expect(broad.text).toMatch(/REVOKE (UPDATE, DROP|DROP, UPDATE) ON `\w+`\.\* FROM /);
      expect(broad.text).toMatch(/\+flushall .*~\*/);
      const statement = /ACL SETUSER .*$/m.exec(broad.text)?.[0] ?? '';
      await everywhere(...statement.split(' ').slice(3));
      await administer(...(broad.text.match(/REVOKE [^;]+/g) ?? []));
      expect(await check(least, 'rights')).toMatchObject(OK);
    } finally {
      await least.close();
    }
  });

  test('finds a database that came back from a backup, which only a verifier has noticed', async () => {
    await stores.run('users', 'add', 'carol');
    const verifiers = await verifiersOver(stores);
    try {
      await stores.json('token', 'revoke', '--sub', 'carol', '--all', '--yes');
      await verifiers.open();
      expect(await check(stores, 'restored-database')).toMatchObject(OK);
      await stores.query('DELETE FROM security_log');
      const { client, prefix } = stores.redis ?? expect.unreachable();
      await client.unlink(`${prefix}:marks`);
      const text = await vi.waitFor(async () => {
        const found = await check(stores, 'restored-database');
        expect(found.exitCode).toBe(1);
        return found.text;
      }, 8_000);
      expect(text).toContain('lacks changes that these verifiers have read');
    } finally {
      await verifiers.close();
    }
  });

  test('finds a database that came back from a backup', async () => {
    const [{ revision } = {}] = await stores.query('SELECT revision FROM keystore_revision');
    await stores.json('keys', 'generate', '--kid', 'k3');
    await stores.query("DELETE FROM keystore WHERE kid = 'k3'");
    await stores.query('UPDATE keystore_revision SET revision = ?', [String(revision)]);
    expect(await check(stores, 'restored-database')).toMatchObject({
      ...{ exitCode: 1, codes: ['ERR_DATABASE_BEHIND'], text: expect.stringContaining('db recover') },
    });
  });
});
