import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { METRICS } from '../../../src/metrics/declarations.js';
import { cli } from '../../support/cli.js';
import { promtool, samplesOf, valuesOf } from '../../support/prometheus.js';
import { closedPorts } from '../../support/proxies/silent-server.js';
import { openStores, type Stores } from '../../support/stores.js';

const DAY = 86_400;

test('prints nothing without a store, and leaves the file as it is', async () => {
  const shell = cli();
  const file = join(shell.home, 'jwtctl.prom');
  writeFileSync(file, 'before');
  const { exitCode, stdout, stderr } = await shell.run('metrics', '--out', file);
  expect([exitCode, stdout]).toEqual([3, '']);
  expect(stderr).toContain('jwtctl keys generate');
  expect(readFileSync(file, 'utf8')).toBe('before');
});

describe('metrics, on SQLite,', () => {
  let stores: Stores;
  let first: number;
  beforeAll(async () => {
    stores = await openStores('SQLite');
    first = stores.clock.now();
    await stores.json('keys', 'generate', '--kid', 'k"1\\');
    for (const sub of ['alice', 'bob']) await stores.json('users', 'add', sub);
    for (const sub of ['alice', 'alice', 'bob']) await stores.json('token', 'issue', '--sub', sub);
  });
  afterAll(() => stores?.close());

  test('tells about keys, live tokens, and the next rotation', async () => {
    const before = await stores.content();
    const { exitCode, stdout, stderr } = await stores.run('metrics');
    expect([exitCode, stderr]).toEqual([0, expect.stringMatching(/^(Using the embedded store .*\n)?$/)]);
    expect(await stores.content()).toBe(before);
    const values = (name: string) => valuesOf(stdout, name);
    expect(values('jwtctl_keys')).toMatchObject({
      'state=active': 1,
      'state=pending': 0,
      'state=retired': 0,
    });
    expect(values('jwtctl_key_created_timestamp_seconds')).toEqual({ 'kid=k"1\\,state=active': first });
    expect(values('jwtctl_active_key_activated_timestamp_seconds')).toEqual({ '': first });
    expect(values('jwtctl_next_rotation_timestamp_seconds')).toEqual({ '': first + 30 * DAY });
    expect(values('jwtctl_keys_rotate_after_seconds')).toEqual({ '': 30 * DAY });
    expect(values('jwtctl_live_tokens')).toEqual({ 'kid=k"1\\': 3 });
    expect(values('jwtctl_live_subjects')).toEqual({ '': 2 });
    expect(values('jwtctl_registry_scan_complete')).toEqual({ '': 1 });
    expect(values('jwtctl_problems')).toEqual({ 'code=ERR_NO_ACTIVE_KEY': 0, 'code=ERR_DATABASE_BEHIND': 0 });
    expect(values('jwtctl_verifiers')).toEqual({ '': 0 });
    expect(values('jwtctl_metrics_timestamp_seconds')).toEqual({ '': stores.clock.now() });
    expect(values('jwtctl_audit_rows_total')).toEqual({ '': 6 });
    expect(stdout).not.toMatch(/alice|bob/);
  });

  test('prints what promtool accepts, and what is declared', async () => {
    const { stdout } = await stores.run('metrics');
    expect(promtool(['check', 'metrics'], stdout)).toEqual({ exitCode: 0, output: '' });
    const declared = Object.entries(METRICS).filter(([, { from }]) =>
      (from as readonly string[]).includes('metrics'),
    );
    const printed = [...stdout.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name);
    expect(printed.sort()).toEqual(declared.map(([name]) => name).sort());
  });

  test('prints one JSON document', async () => {
    const metrics = await stores.json('metrics');
    expect(metrics).toContainEqual({
      name: 'jwtctl_live_tokens',
      type: 'gauge',
      help: METRICS.jwtctl_live_tokens.help,
      values: [{ labels: { kid: 'k"1\\' }, value: 3 }],
    });
  });

  test('replaces a file that every account can read', async () => {
    const file = join(stores.home, 'jwtctl.prom');
    expect(await stores.json('metrics', '--out', file, '--dry-run')).toMatchObject({ dryRun: true });
    expect(existsSync(file)).toBe(false);
    for (let run = 0; run < 2; run++)
      expect(await stores.json('metrics', '--out', file)).toMatchObject({ written: file });
    expect(statSync(file).mode & 0o777).toBe(0o644);
    expect(readFileSync(file, 'utf8')).toBe((await stores.run('metrics')).stdout);
    const { exitCode, stdout } = await stores.run('metrics', '--out', file, '-q');
    expect([exitCode, stdout]).toEqual([0, `${file}\n`]);
    expect((await stores.run('metrics', '--out', stores.home, '--json')).error().code).toBe(
      'ERR_FILE_UNWRITABLE',
    );
  });

  test('does not depend on the delivery of events', async () => {
    await stores.query("INSERT INTO event_consumers VALUES ('hooks.command', 'x', '', 0)");
    const env = { ...stores.env, JWTCTL_HOOKS_COMMAND: 'true' };
    const delivering = cli({ clock: stores.clock, home: stores.home, env });
    expect((await delivering.run('status')).exitCode).toBe(3);
    const { exitCode, stdout } = await delivering.run('metrics');
    expect([exitCode, stdout]).toEqual([0, (await stores.run('metrics')).stdout]);
  });

  test('shows a missing active key, and tokens under keys that are gone', async () => {
    await stores.query('UPDATE keystore SET state = ?', ['retired']);
    const retired = await stores.run('metrics');
    expect(retired.exitCode).toBe(0);
    expect(valuesOf(retired.stdout, 'jwtctl_problems')).toMatchObject({ 'code=ERR_NO_ACTIVE_KEY': 1 });
    expect(valuesOf(retired.stdout, 'jwtctl_next_rotation_timestamp_seconds')).toEqual({ '': Number.NaN });
    await stores.query('DELETE FROM keystore');
    const { stdout } = await stores.run('metrics');
    expect(valuesOf(stdout, 'jwtctl_live_tokens')).toEqual({ 'kid=': 3 });
    const json = await stores.json('metrics');
    expect(json.find(({ name }: { name: string }) => name.startsWith('jwtctl_next_rotation')).values).toEqual(
      [{ labels: {}, value: null }],
    );
  });
});

describe('metrics, on MariaDB and a Redis Cluster,', () => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TIMEOUT: '1s' });
    await stores.json('keys', 'generate', '--kid', 'k1');
    await stores.json('users', 'add', 'alice');
    await stores.json('token', 'issue', '--sub', 'alice');
  });
  afterAll(() => stores?.close());

  test('leaves out the counts if one master is away, and exits with 5', async () => {
    const whole = await stores.run('metrics');
    expect([whole.exitCode, whole.stderr]).toEqual([0, '']);
    const masters = (text: string) =>
      samplesOf(text)
        .filter(({ name, labels }) => name === 'jwtctl_registry_node_up' && labels.role === 'master')
        .map(({ value }) => value)
        .sort();
    expect(masters(whole.stdout)).toEqual([1, 1, 1]);
    expect(Object.values(valuesOf(whole.stdout, 'jwtctl_registry_memory_bytes'))).toHaveLength(6);
    expect(valuesOf(whole.stdout, 'jwtctl_live_tokens')).toEqual({ 'kid=k1': 1 });

    const [master] = [...(await (stores.redis?.keys() ?? expect.unreachable())).keys()];
    const [port] = await closedPorts(1);
    const env = { ...stores.env, JWTCTL_REDIS_NAT_MAP: `${master}=127.0.0.1:${port}` };
    const partial = cli({ clock: stores.clock, home: stores.home, env });
    const { exitCode, stdout, stderr } = await partial.run('metrics');
    expect(exitCode).toBe(5);
    expect(stderr).toMatch(/^Not read: slots /);
    expect(valuesOf(stdout, 'jwtctl_registry_scan_complete')).toEqual({ '': 0 });
    expect(stdout).not.toMatch(/jwtctl_live_|jwtctl_registry_foreign/);
    expect(masters(stdout)).toEqual([0, 1, 1]);
    expect(promtool(['check', 'metrics'], stdout)).toEqual({ exitCode: 0, output: '' });
  });

  test('prints nothing if a store is away, and exits with 4', async () => {
    const [port] = await closedPorts(1);
    for (const env of [
      { JWTCTL_MYSQL_URL: `mysql://app@127.0.0.1:${port}/jwt` },
      { JWTCTL_REDIS_NODES: `127.0.0.1:${port}` },
    ]) {
      const away = cli({ clock: stores.clock, home: stores.home, env: { ...stores.env, ...env } });
      const { exitCode, stdout } = await away.run('metrics');
      expect([exitCode, stdout]).toEqual([4, '']);
    }
  });

  test('shows a database that was restored', async () => {
    const [{ revision } = {}] = await stores.query('SELECT * FROM keystore_revision');
    await stores.run('keys', 'generate', '--kid', 'k2');
    await stores.query("DELETE FROM keystore WHERE kid = 'k2'");
    await stores.query('UPDATE keystore_revision SET revision = ?', [String(revision)]);
    const { exitCode, stdout } = await stores.run('metrics');
    expect(exitCode).toBe(0);
    expect(valuesOf(stdout, 'jwtctl_problems')).toMatchObject({ 'code=ERR_DATABASE_BEHIND': 1 });
  });
});
