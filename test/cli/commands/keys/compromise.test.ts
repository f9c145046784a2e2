import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cli } from '../../../support/cli.js';
import { closedPorts } from '../../../support/proxies/silent-server.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

const SUBJECTS = Array.from({ length: 6 }, (_, index) => `user${index}`);

interface Report {
  byNode: Array<{ node: string; before: number; removed: number; after: number | null }>;
  [member: string]: unknown;
}

/** Creates a key with a token for each subject, and a pending key. */
async function openLeaked(backend: (typeof BACKENDS)[number]): Promise<Stores> {
  const stores = await openStores(backend, { JWTCTL_TIMEOUT: '2s' });
  await stores.json('keys', 'generate', '--kid', 'leaked');
  await stores.json('keys', 'generate', '--kid', 'next');
  for (const sub of SUBJECTS) await stores.json('token', 'issue', '--sub', sub, '--create-user');
  return stores;
}

const COMPROMISE = ['keys', 'compromise', 'leaked', '--reason', 'found in a backup', '--yes'];

describe.each(BACKENDS)('keys compromise, on %s', (backend) => {
  let stores: Stores;
  beforeEach(async () => {
    stores = await openLeaked(backend);
  });
  afterEach(() => stores?.close());

  test('refuses the key and confirms for each node that no entry is left', async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'user0');
    const { exitCode, json, stderr } = await stores.run(...COMPROMISE, '--json');
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    const report: Report = json();
    expect(report).toMatchObject({
      ...{ kid: 'leaked', state: 'compromised', masterKeyId: null, alreadyCompromised: false },
      ...{ active: 'next', complete: true, entries: { before: 7, removed: 7, after: 0 } },
    });
    expect(report.compromisedAt).toBe(stores.clock.now());
    expect(report.byNode).toHaveLength(stores.isCluster ? 3 : 1);
    for (const node of report.byNode) {
      expect(node.before).toBeGreaterThan(0);
      expect(node).toMatchObject({ removed: node.before, after: 0 });
    }
    expect(report.replicasConfirmed).toBe(stores.isCluster ? 1 : null);

    const refused = await stores.run('token', 'verify', token, '--json');
    expect([refused.exitCode, refused.json().error.code]).toEqual([1, 'ERR_KEY_NOT_TRUSTED']);
    const set = JSON.parse((await stores.run('keys', 'export', '--jwks')).stdout);
    const kids = set.keys.map(({ kid }: { kid: string }) => kid);
    expect(kids).toEqual(['next', report.pending]);
    expect((await stores.json('token', 'issue', '--sub', 'user0')).kid).toBe('next');
    const inspection = await stores.json('cache', 'inspect');
    expect(inspection.byKid).toMatchObject([{ kid: 'next', state: 'active', entries: 1 }]);
    expect(await stores.query("SELECT private_key FROM keystore WHERE kid = 'leaked'")).toEqual([
      { private_key: null },
    ]);
    expect(await stores.query('SELECT type, kid, reason FROM security_log')).toEqual([
      { type: 'key_compromised', kid: 'leaked', reason: 'found in a backup' },
    ]);
  });

  test('shows a table, with the time until which other verifiers may accept the key', async () => {
    const { stdout, stderr } = await stores.run(...COMPROMISE);
    expect(stdout).toMatch(/The key is compromised, and its tokens are removed/);
    expect(stdout).toMatch(/all +6 +6 +0/);
    expect(stderr).toMatch(/JWK Set/);
    expect((await stores.run(...COMPROMISE, '-q')).stdout).toBe('leaked\n');
  });

  test('counts the entries in a dry run and changes nothing', async () => {
    const before = await stores.content();
    const report = await stores.json(...COMPROMISE, '--dry-run');
    expect(report).toMatchObject({
      ...{ dryRun: true, state: 'active', active: 'next', complete: true },
      entries: { before: 6, removed: 0, after: null },
    });
    const { stdout } = await stores.run(...COMPROMISE, '--dry-run');
    expect(stdout).toMatch(/would sign +next\b.*\n.*would sign next +\(new key\)/);
    expect(await stores.content()).toBe(before);
  });

  test('requires a reason and a known kid', async () => {
    const bare = await stores.run('keys', 'compromise', 'leaked', '--json');
    expect([bare.exitCode, bare.error().code]).toEqual([2, 'ERR_USAGE']);
    const unknown = await stores.run('keys', 'compromise', 'leakde', '--reason', 'x', '--json');
    expect([unknown.exitCode, unknown.error().code]).toEqual([3, 'ERR_KEY_UNKNOWN']);
    expect((await stores.run('keys', 'compromise', '--help')).stdout).toMatch(/--reason .*\(required\)/s);
  });

  test('is final: the key cannot be rotated to, activated, or retired', async () => {
    await stores.json(...COMPROMISE);
    for (const words of [
      ['activate', 'leaked', '--now'],
      ['retire', 'leaked', '--force'],
    ]) {
      expect((await stores.run('keys', ...words, '--json')).exitCode).toBe(3);
    }
    await stores.json('keys', 'rotate', '--now');
    await stores.json('keys', 'purge', '--yes');
    expect(await stores.json('keys', 'show', 'leaked')).toMatchObject({ state: 'compromised' });
  });
});

describe('keys compromise with unreachable stores', () => {
  let stores: Stores;
  beforeEach(async () => {
    stores = await openLeaked('MariaDB and a Redis Cluster');
  });
  afterEach(() => stores?.close());

  const withEnv = (env: Record<string, string>) =>
    cli({ clock: stores.clock, home: stores.home, env: { ...stores.env, ...env } });

  async function refusal(token: string): Promise<string> {
    return (await stores.run('token', 'verify', token, '--json')).json().error.code;
  }

  test('refuses the key, reports an unreachable master, and removes its entries in the next run', async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'user0');
    const { byNode } = await stores.json('cache', 'inspect');
    const [{ node, entries }] = byNode;
    const [port] = await closedPorts(1);
    const first = await withEnv({ JWTCTL_REDIS_NAT_MAP: `${node}=127.0.0.1:${port}` }).run(
      ...COMPROMISE,
      '--json',
    );
    const report: Report = first.json();
    expect({ exitCode: first.exitCode, ...report }).toMatchObject({
      ...{ exitCode: 5, state: 'compromised', active: 'next', complete: false },
      entries: { before: 7 - entries, removed: 7 - entries, after: null },
    });
    expect(JSON.stringify(report.missed)).toMatch(/slots/);
    expect(first.stderr).toMatch(/run the same command again/i);
    expect(await refusal(token)).toBe('ERR_KEY_NOT_TRUSTED');

    const second: Report = await stores.json(...COMPROMISE);
    expect(second).toMatchObject({
      ...{ alreadyCompromised: true, active: 'next', pending: report.pending, complete: true },
      entries: { before: entries, removed: entries, after: 0 },
    });
    expect(second.byNode.find((one) => one.node === node)).toEqual({
      ...{ node, before: entries, removed: entries, after: 0 },
    });
    expect(await stores.query('SELECT type FROM security_log')).toEqual([{ type: 'key_compromised' }]);
  });

  test('refuses the key without Redis, and says how to complete the removal', async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'user0');
    const [port] = await closedPorts(1);
    const { exitCode, json, stderr } = await withEnv({ JWTCTL_REDIS_NODES: `127.0.0.1:${port}` }).run(
      ...COMPROMISE,
      '--json',
    );
    expect({ exitCode, ...json() }).toMatchObject({
      ...{ exitCode: 5, state: 'compromised', active: 'next', complete: false },
      entries: { before: 0, removed: 0, after: null },
    });
    expect(json().missed).toEqual([expect.stringMatching(/the whole registry/)]);
    expect(stderr).toMatch(/run the same command again/i);
    expect(await refusal(token)).toBe('ERR_KEY_NOT_TRUSTED');
    expect(await stores.json(...COMPROMISE)).toMatchObject({ entries: { before: 7, after: 0 } });
  });

  test('fails without MySQL', async () => {
    const before = await stores.content();
    const [port] = await closedPorts(1);
    const { exitCode, stdout } = await withEnv({
      JWTCTL_MYSQL_URL: `mysql://u:p@127.0.0.1:${port}/db`,
    }).run(...COMPROMISE, '--json');
    expect({ exitCode, stdout }).toEqual({ exitCode: 4, stdout: '' });
    expect(await stores.content()).toBe(before);
  });

  test('refuses the key without a vault: the pending key signs, and the next run publishes another', async () => {
    const { JWTCTL_MASTER_KEY_FILE: _file, ...env } = stores.env;
    const vaultAway = cli({
      clock: stores.clock,
      home: stores.home,
      env: { ...env, JWTCTL_MASTER_KEY_COMMAND: 'echo s3cret; exit 3' },
    });
    const { exitCode, json, stdout, stderr } = await vaultAway.run(...COMPROMISE, '--json');
    expect({ exitCode, ...json() }).toMatchObject({
      ...{ exitCode: 5, state: 'compromised', active: 'next', pending: null, complete: false },
      missed: [expect.stringMatching(/a new key could not be generated: .*status 3/)],
    });
    expect(stdout + stderr).not.toContain('s3cret');
    const again = await stores.json(...COMPROMISE);
    expect(again).toMatchObject({ complete: true, pending: expect.any(String) });
  });
});
