import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../../support/cli.js';
import { parseNdjson } from '../../support/ndjson.js';
import { administer } from '../../support/servers.js';
import { BACKENDS, openStores, type Stores, writeMasterKey } from '../../support/stores.js';

describe.each(BACKENDS)('the audit commands, on %s', (backend) => {
  let stores: Stores;
  let start = 0;

  beforeAll(async () => {
    stores = await openStores(backend);
    stores.env.JWTCTL_MASTER_KEY_FILE ??= writeMasterKey(stores.home);
    start = stores.clock.now();
    await stores.json('keys', 'generate', '--kid', 'first');
    for (const sub of ['alice', 'bob', 'Alice']) {
      stores.clock.advance(100);
      await stores.json('users', 'add', sub, '--actor', `ops-${sub}`);
    }
    await stores.json('users', 'disable', 'alice', '--reason', 'lost her phone');
  });
  afterAll(() => stores?.close());

  const targets = async (...flags: string[]) =>
    (await stores.json('audit', 'list', ...flags)).map(({ target }: { target: string }) => target);

  test('list shows every row, the newest first', async () => {
    const rows = await stores.json('audit', 'list');
    expect(rows[0]).toEqual({
      ...{ seq: rows.length, at: start + 300, actor: expect.any(String), login: expect.any(String) },
      ...{ action: 'users.disable', target: 'alice', outcome: 'done', reason: 'lost her phone' },
    });
    expect(rows.map(({ seq }: { seq: number }) => seq)).toEqual(
      Array.from(rows, (_, index) => rows.length - index),
    );
  });

  test('list selects by actor, action, target, and time, byte for byte', async () => {
    expect(await targets('--target', 'alice')).toEqual(['alice', 'alice']);
    expect(await targets('--actor', 'ops-Alice')).toEqual(['Alice']);
    expect(await targets('--action', 'users.add')).toEqual(['Alice', 'bob', 'alice']);
    expect(await targets('--action', 'users.add', '--since', String(start + 200))).toEqual(['Alice', 'bob']);
    expect(await targets('--action', 'users.add', '--until', String(start + 200))).toEqual(['bob', 'alice']);
    expect((await stores.run('audit', 'list', '--target', 'x')).stdout).toMatch(/^No row/);
  });

  test('list --limit shows the newest rows, and says that there are more', async () => {
    expect(await targets('--action', 'users.add', '--limit', '2')).toEqual(['Alice', 'bob']);
    const cut = await stores.run('audit', 'list', '--limit', '1');
    expect(cut.lines()).toHaveLength(2);
    expect(cut.stderr).toContain('--limit');
    const all = await stores.run('audit', 'list', '--limit', '1000');
    expect(all.stderr).not.toContain('--limit');
    expect((await stores.run('audit', 'list', '--limit', '1', '--json')).stderr).not.toContain('--limit');
  });

  test('list --search looks at all texts of a row, and ignores the case', async () => {
    expect(await targets('--search', 'HER PHONE')).toEqual(['alice']);
    expect(await targets('--search', 'ops-alice')).toEqual(['Alice', 'alice']);
    expect(await targets('--search', 'keys.gen', '--limit', '1')).toEqual(['first']);
  });

  test('verify accepts the log, and names its last row', async () => {
    const [{ seq }] = await stores.json('audit', 'list');
    expect(await stores.json('audit', 'verify')).toMatchObject({
      ...{ valid: true, rows: seq, prunedUpTo: 0, behind: false, faults: [], omitted: 0 },
      head: { seq, hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    expect((await stores.run('audit', 'verify')).stdout).toMatch(/^✓ valid/);
  });

  test('verify names a changed row, and exits with 1', async () => {
    const [{ seq }] = await stores.json('audit', 'list', '--target', 'bob');
    await stores.query("UPDATE audit_log SET actor = 'mallory' WHERE target = 'bob'");
    const result = await stores.run('audit', 'verify', '--json');
    await stores.query("UPDATE audit_log SET actor = 'ops-bob' WHERE target = 'bob'");
    expect(result.exitCode).toBe(1);
    expect(result.json()).toMatchObject({
      valid: false,
      faults: [{ finding: 'changed', firstSeq: seq, lastSeq: seq }],
    });
  });

  test('verify on a host without the keyring refuses to call the log valid, and creates no keyring', async () => {
    const file = join(stores.home, 'no-such.key');
    const host = cli({ ...stores, env: { ...stores.env, JWTCTL_MASTER_KEY_FILE: file } });
    const result = await host.run('audit', 'verify', '--json');
    expect(result.exitCode).toBe(3);
    expect(result.error().code).toBe('ERR_MASTER_KEY_MISSING');
    expect(() => statSync(file)).toThrow('ENOENT');
    const other = cli({
      ...stores,
      env: { ...stores.env, JWTCTL_MASTER_KEY_FILE: writeMasterKey(stores.home, 'other.key') },
    });
    const unknown = await other.run('audit', 'verify', '--json');
    expect(unknown.exitCode).toBe(1);
    expect(unknown.json().faults).toMatchObject([{ finding: 'key_unknown', firstSeq: 1 }]);
  });

  test('export writes the same rows to a file and to standard output', async () => {
    const { file, rows } = await stores.json('audit', 'export', 'audit.ndjson');
    const text = readFileSync(file, 'utf8');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const lines = parseNdjson(text);
    expect(lines).toHaveLength(rows);
    expect(Object.keys(lines[0])).toEqual(
      expect.arrayContaining([
        'seq',
        'actor',
        'login',
        'details',
        'macKeyId',
        'chainId',
        'previousHash',
        'hash',
      ]),
    );
    expect((await stores.run('audit', 'export', '-')).stdout).toBe(text);
    const taken = await stores.run('audit', 'export', 'audit.ndjson', '--json');
    expect(taken.error().code).toBe('ERR_FILE_EXISTS');
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  describe('after a year', () => {
    let newest = 0;

    beforeAll(async () => {
      [{ seq: newest }] = await stores.json('audit', 'list');
      stores.clock.advance(366 * 86_400);
      await stores.json('users', 'add', 'carol');
    });

    test('prune refuses a log with faults, unless it is forced', async () => {
      await stores.query("UPDATE audit_log SET reason = 'x' WHERE target = 'bob'");
      const refused = await stores.run('audit', 'prune', '--older-than', '365d', '--yes', '--json');
      const dryRun = await stores.run('audit', 'prune', '--older-than', '365d', '--dry-run', '--json');
      const plan = await stores.json('audit', 'prune', '--older-than', '365d', '--force', '--dry-run');
      await stores.query("UPDATE audit_log SET reason = NULL WHERE target = 'bob'");
      for (const result of [refused, dryRun]) {
        expect(result.exitCode).toBe(3);
        expect(result.error().code).toBe('ERR_AUDIT_LOG_FAULTY');
      }
      expect(plan).toMatchObject({ wouldPrune: newest, faults: [{ finding: 'changed' }] });
    });

    test('prune needs the keyring, also in a dry run', async () => {
      // Only rows without a master key can be verified without the keyring.
      const env = { ...stores.env, JWTCTL_MASTER_KEY_FILE: writeMasterKey(stores.home, 'wrong.key') };
      rmSync(env.JWTCTL_MASTER_KEY_FILE);
      const host = cli({ ...stores, env });
      for (const flags of [['--yes'], ['--dry-run']]) {
        const result = await host.run(
          'audit',
          'prune',
          '--older-than',
          '365d',
          '--force',
          '--json',
          ...flags,
        );
        expect(result.exitCode).toBe(3);
        expect(result.error().code).toBe('ERR_MASTER_KEY_MISSING');
      }
    });

    test('prune without --yes asks, and removes nothing', async () => {
      const result = await stores.run('audit', 'prune', '--older-than', '365d', '--json');
      expect(result.error().code).toBe('ERR_CONFIRMATION_NEEDED');
      expect(await targets()).toHaveLength(newest + 1);
    });

    test('prune removes the old rows, and the rest can be verified', async () => {
      expect(await stores.json('audit', 'prune', '--older-than', '365d', '--yes')).toMatchObject({
        ...{ pruned: newest, prunedUpTo: newest, faults: [] },
      });
      const rows = await stores.json('audit', 'list');
      expect(rows.map(({ action }: { action: string }) => action)).toEqual(['audit.prune', 'users.add']);
      expect(await stores.json('audit', 'verify')).toMatchObject({
        ...{ valid: true, rows: 2, prunedUpTo: newest },
      });
      expect(await stores.json('token', 'issue', '--sub', 'carol')).toHaveProperty('token');
      const again = await stores.json('audit', 'prune', '--older-than', '365d', '--yes');
      expect(again).toMatchObject({ pruned: 0 });
      expect((await targets('--action', 'audit.prune')).length).toBe(1);
    });

    test('verify finds a row that is removed after the pruned ones', async () => {
      const [row] = await stores.query(`SELECT * FROM audit_log WHERE seq = ${newest + 1}`);
      await stores.query(`DELETE FROM audit_log WHERE seq = ${newest + 1}`);
      const result = await stores.run('audit', 'verify', '--json');
      expect(result.exitCode).toBe(1);
      const range = { firstSeq: newest + 1, lastSeq: newest + 1 };
      expect(result.json().faults).toEqual([{ finding: 'removed', ...range }]);
      const names = Object.keys(row ?? {});
      await stores.query(
        `INSERT INTO audit_log (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
        Object.values(row ?? {}) as string[],
      );
      expect(await stores.json('audit', 'verify')).toMatchObject({ valid: true });
    });

    test('verify believes no row about pruning that lacks the master key', async () => {
      await stores.query("UPDATE audit_log SET target = 'x' WHERE action = 'audit.prune'");
      const { faults } = (await stores.run('audit', 'verify', '--json')).json();
      expect(faults).toContainEqual({ finding: 'removed', firstSeq: 1, lastSeq: newest });
    });
  });
});

describe('verify, if the end of the log cannot be compared with Redis', () => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster');
    await stores.json('keys', 'generate', '--kid', 'first');
  });
  afterAll(() => stores?.close());

  test('says so, and exits with 4 while Redis cannot be reached', async () => {
    const host = cli({ ...stores, env: { ...stores.env, JWTCTL_REDIS_NODES: '127.0.0.1:1' } });
    const result = await host.run('audit', 'verify', '--json', '--timeout', '1s');
    expect(result.exitCode).toBe(4);
    expect(result.json()).toMatchObject({ valid: null, behind: null, faults: [] });
    expect(result.stderr).toContain('not checked');
  });

  test('says so, and exits with 5 if there is no mark', async () => {
    const env = { ...stores.env, JWTCTL_REDIS_PREFIX: `${stores.redis?.prefix}-other` };
    const result = await cli({ ...stores, env }).run('audit', 'verify', '--json');
    expect(result.exitCode).toBe(5);
    expect(result.json()).toMatchObject({ valid: null, behind: null, faults: [] });
    expect((await cli({ ...stores, env }).run('audit', 'verify')).stdout).not.toContain('✓');
  });

  test('finds that the end was removed, and exits with 1', async () => {
    await stores.json('users', 'add', 'alice');
    const [head] = await stores.query('SELECT seq, hash FROM audit_log ORDER BY seq LIMIT 1');
    await stores.json('keys', 'generate', '--kid', 'second');
    expect((await stores.run('audit', 'verify', '--json')).exitCode).toBe(0);
    await stores.query('DELETE FROM audit_log WHERE seq > 1');
    await stores.query('UPDATE audit_head SET seq = 1, hash = ?', [String(head?.hash)]);
    const result = await stores.run('audit', 'verify', '--json');
    expect(result.exitCode).toBe(1);
    expect(result.json()).toMatchObject({ valid: false, behind: true, faults: [] });
    for (const flag of ['--yes', '--dry-run']) {
      const prune = await stores.run('audit', 'prune', '--older-than', '10s', '--json', flag);
      expect(prune.exitCode).toBe(3);
      expect(prune.error().code).toBe('ERR_DATABASE_BEHIND');
    }
  });
});

test('verify finds that the row about a prune was cut off, and exits with 1', async () => {
  const stores = await openStores('MariaDB and a Redis Cluster');
  try {
    await stores.json('keys', 'generate', '--kid', 'first');
    stores.clock.advance(100);
    await stores.json('users', 'add', 'alice');
    await stores.json('audit', 'prune', '--older-than', '10s', '--yes');
    await stores.query("DELETE FROM audit_log WHERE action = 'audit.prune'");
    await stores.query('UPDATE audit_head SET seq = seq - 1');
    const result = await stores.run('audit', 'verify', '--json');
    expect(result.exitCode).toBe(1);
    expect(result.json()).toMatchObject({ valid: false, behind: true });
  } finally {
    await stores.close();
  }
});

describe('an account that cannot remove audit rows', () => {
  let stores: Stores;
  let account: string;

  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster');
    const url = new URL(String(stores.env.JWTCTL_MYSQL_URL));
    const database = url.pathname.slice(1);
    const name = database.slice(0, 20);
    account = `'${name}'@'%'`;
    await administer(
      `CREATE USER ${account} IDENTIFIED BY 'least'`,
      `GRANT SELECT, INSERT, UPDATE ON ${database}.* TO ${account}`,
    );
    Object.assign(url, { username: name, password: 'least' });
    stores.env.JWTCTL_MYSQL_URL = url.href;
  });
  afterAll(async () => {
    if (account !== undefined) await administer(`DROP USER ${account}`);
    await stores?.close();
  });

  test('cannot prune, and leaves no row that says so', async () => {
    await stores.json('users', 'add', 'alice');
    stores.clock.advance(100);
    const before = await stores.content();
    const result = await stores.run('audit', 'prune', '--older-than', '10s', '--yes', '--json');
    expect({ exitCode: result.exitCode, code: result.error().code }).toEqual({
      exitCode: 4,
      code: 'ERR_MYSQL_FORBIDDEN',
    });
    expect(await stores.content()).toBe(before);
  });
});
