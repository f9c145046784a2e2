import { readFileSync, writeFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deriveKey } from '../../src/adapters/sealing/derived-key.js';
import { parseKeyring } from '../../src/adapters/sealing/keyring.js';
import { verifyAuditChain } from '../../src/domain/audit-log/audit-chain.js';
import type { AuditFinding } from '../../src/domain/audit-log/audit-findings.js';
import type { AuditRow } from '../../src/domain/ports/index.js';
import { cli } from '../support/cli.js';
import { BACKENDS, openStores, type Stores, writeMasterKey } from '../support/stores.js';

const LOGIN = `${userInfo().username}@${hostname()}`;

/** Returns the rows from `seq` on. */
async function rowsOf(stores: Stores, seq = 1): Promise<AuditRow[]> {
  const rows = await stores.query('SELECT * FROM audit_log ORDER BY seq');
  return rows
    .map(({ mac_key_id: macKeyId, previous_hash: previousHash, ...row }) => ({
      ...(row as unknown as AuditRow),
      macKeyId: macKeyId as string | null,
      previousHash: String(previousHash),
    }))
    .filter((row) => row.seq >= seq);
}

async function findingsOf(stores: Stores): Promise<AuditFinding[]> {
  const keyring = parseKeyring(readFileSync(String(stores.env.JWTCTL_MASTER_KEY_FILE), 'utf8'), 'the test');
  const [head] = await stores.query('SELECT seq, hash, chain_id AS chainId FROM audit_head');
  return verifyAuditChain({
    rows: await rowsOf(stores),
    head: head as { seq: number; hash: string; chainId: string },
    findKey: async (id) => {
      const master = keyring.find((key) => key.id === id);
      return master === undefined ? null : { id, secret: deriveKey(master, 'audit log') };
    },
  });
}

describe.each(BACKENDS)('the audit log, on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
    stores.env.JWTCTL_MASTER_KEY_FILE ??= writeMasterKey(stores.home);
    await stores.json('keys', 'generate', '--kid', 'first');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  /** Runs a command on the same stores, on a host with a different master key setting. */
  function hostWith(setting: Record<string, string>) {
    const env = { ...stores.env, ...setting };
    if (setting.JWTCTL_MASTER_KEY_FILE === '') delete (env as Record<string, string>).JWTCTL_MASTER_KEY_FILE;
    return cli({ env, home: stores.home, clock: stores.clock });
  }

  async function nextSeq(): Promise<number> {
    return (await rowsOf(stores)).length + 1;
  }

  test('rows are authenticated under the first master key, and name actor and login', async () => {
    const [{ masterKeyId }] = await stores.json('keys', 'list');
    const seq = await nextSeq();
    await stores.json('users', 'disable', 'alice', '--actor', 'ticket 4711');
    await stores.json('users', 'enable', 'alice');

    expect(await rowsOf(stores, seq)).toMatchObject([
      { action: 'users.disable', actor: 'ticket 4711', login: LOGIN, macKeyId: masterKeyId },
      { action: 'users.enable', actor: LOGIN, login: LOGIN, macKeyId: masterKeyId },
    ]);
    expect(await findingsOf(stores)).toEqual([]);
  });

  test('a host without a keyring disables and revokes without a warning, and its rows are marked', async () => {
    const host = hostWith({ JWTCTL_MASTER_KEY_FILE: '', JWTCTL_DATA: join(stores.home, 'elsewhere.db') });
    // An embedded store keeps its keyring next to it, so a host without a keyring has lost it.
    if (!stores.isCluster) host.env.JWTCTL_DATA = join(stores.home, 'data', 'jwtctl', 'jwtctl.db');
    const seq = await nextSeq();
    for (const words of [
      ['users', 'disable', 'alice'],
      ['token', 'revoke', '--sub', 'alice', '--all', '--yes'],
      ['users', 'enable', 'alice'],
    ]) {
      const { exitCode, stderr } = await host.run(...words, '--json');
      expect({ exitCode, warned: stderr.includes('Warning') }).toEqual({ exitCode: 0, warned: false });
    }

    expect((await rowsOf(stores, seq)).map(({ macKeyId }) => macKeyId)).toEqual([null, null, null]);
    expect(await findingsOf(stores)).toEqual([
      { finding: 'unauthenticated', firstSeq: seq, lastSeq: seq + 2 },
    ]);
  });

  test.each([
    ['a file that is gone', { JWTCTL_MASTER_KEY_FILE: '/nonexistent/master.key' }, []],
    ['a vault that fails', { JWTCTL_MASTER_KEY_FILE: '', JWTCTL_MASTER_KEY_COMMAND: 'exit 3' }, []],
    [
      'a vault that hangs',
      { JWTCTL_MASTER_KEY_FILE: '', JWTCTL_MASTER_KEY_COMMAND: 'exec sleep 60' },
      ['--timeout', '1s'],
    ],
  ])('with a keyring in %s, a user can still be disabled, with one warning', async (...row) => {
    const [, setting, flags] = row;
    const host = hostWith(setting);
    const seq = await nextSeq();
    for (const verb of ['disable', 'enable']) {
      const told = await host.run('users', verb, 'alice', '--json', ...flags);
      expect(told.exitCode).toBe(0);
      expect(told.stderr.match(/not authenticated/g)).toHaveLength(1);
      expect(told.stderr).toMatch(/master ?key/i);
    }
    expect((await rowsOf(stores, seq)).map(({ macKeyId }) => macKeyId)).toEqual([null, null]);
  });

  test('a command asks the vault once for several rows, and not at all for none', async () => {
    const asked = join(stores.home, `asked-${await nextSeq()}`);
    const file = String(stores.env.JWTCTL_MASTER_KEY_FILE);
    const host = hostWith({
      JWTCTL_MASTER_KEY_FILE: '',
      JWTCTL_MASTER_KEY_COMMAND: `echo x >> ${asked}; cat ${file}`,
    });
    await host.json('users', 'list');
    await host.json('keys', 'list');
    await host.json('users', 'disable', 'alice', '--dry-run');
    expect(() => readFileSync(asked)).toThrow('ENOENT');

    const seq = await nextSeq();
    await host.json('keys', 'generate', '--count', '2');
    expect(readFileSync(asked, 'utf8')).toBe('x\n');
    const rows = await rowsOf(stores, seq);
    expect(rows).toHaveLength(2);
    for (const { macKeyId } of rows) expect(macKeyId).toMatch(/^mk-/);
  });

  test('rows under the old and the new first master key both verify', async () => {
    const file = String(stores.env.JWTCTL_MASTER_KEY_FILE);
    const old = readFileSync(file, 'utf8');
    stores.env.JWTCTL_MASTER_KEY_FILE = writeMasterKey(stores.home, 'new.key');
    const newLine = readFileSync(stores.env.JWTCTL_MASTER_KEY_FILE, 'utf8');
    writeFileSync(stores.env.JWTCTL_MASTER_KEY_FILE, newLine + old);
    await stores.json('users', 'add', 'bob');

    const ids = new Set((await rowsOf(stores)).map(({ macKeyId }) => macKeyId));
    expect(ids.size).toBe(3);
    expect((await findingsOf(stores)).map(({ finding }) => finding)).not.toContain('changed');
    expect((await findingsOf(stores)).map(({ finding }) => finding)).not.toContain('key_unknown');
  });
});

describe('an account that can add to the audit log but cannot change it', () => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster', {}, { leastRights: true });
  });
  afterAll(() => stores?.close());

  test('is enough for everything except pruning', async () => {
    await stores.json('keys', 'generate', '--kid', 'first');
    const { token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    await stores.json('token', 'verify', token);
    await stores.json('keys', 'generate', '--kid', 'second');
    await stores.json('keys', 'rotate', '--now');
    await stores.json('users', 'disable', 'alice');
    await stores.json('token', 'revoke', '--sub', 'alice', '--all', '--yes');
    await stores.json('cache', 'reconcile');
    await stores.json('keys', 'compromise', 'first', '--reason', 'test', '--yes');
    await stores.json('users', 'remove', 'alice', '--yes');
    await stores.json('db', 'status');

    expect((await rowsOf(stores)).length).toBeGreaterThan(6);
    expect(await findingsOf(stores)).toEqual([]);
  });

  test('is refused when it tries to change or remove a row', async () => {
    const connection = await createConnection(String(stores.env.JWTCTL_MYSQL_URL));
    try {
      for (const statement of ["UPDATE audit_log SET actor = 'x'", 'DELETE FROM audit_log'])
        await expect(connection.query(statement), statement).rejects.toMatchObject({
          code: 'ER_TABLEACCESS_DENIED_ERROR',
        });
    } finally {
      await connection.end();
    }
  });
});
