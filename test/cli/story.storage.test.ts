import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const SUBJECTS = Array.from({ length: 40 }, (_, index) => `user-${index}`);
const CLOCK_TOLERANCE = 5;

describe.each(BACKENDS)('stored data in %s', (backend) => {
  let stores: Stores;
  let kid = '';
  const expBySub = new Map<string, number>();

  beforeAll(async () => {
    stores = await openStores(backend, {}, { leastRights: true });
    kid = (await stores.json('keys', 'generate', '--actor', 'ops@desk')).kid;
    for (const [index, sub] of SUBJECTS.entries()) {
      // The last exp decides, not the order of issue.
      const long = ['--ttl', `${2 + (index % 3)}h`];
      const words = ['token', 'issue', '--sub', sub, '--create-user'];
      expBySub.set(sub, (await stores.json(...words, ...long)).exp);
      await stores.json(...words, '--ttl', '10m');
    }
  });
  afterAll(() => stores?.close());

  test('the database contains no readable private key', async () => {
    const rows = await stores.query('SELECT * FROM keystore');

    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain('PRIVATE KEY');
    expect(JSON.stringify(rows)).not.toContain('"d"');
    const [row] = rows as [Record<string, unknown>];
    expect(row.public_key).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
    const parts = String(row.private_key).split('.');
    expect(parts).toHaveLength(5);
    const header = JSON.parse(Buffer.from(String(parts[0]), 'base64url').toString());
    expect(header).toMatchObject({ alg: 'dir', enc: 'A256GCM', kid: row.master_key_id });
    expect(Object.values(header)).toContain(kid);
  });

  test('the audit log has a row for each changing command, with actor and reason', async () => {
    await stores.json('users', 'add', 'mallory', '--actor', 'ops@desk');
    await stores.json('users', 'disable', 'mallory', '--actor', 'ops@desk', '--reason', 'lost laptop');
    await stores.json('users', 'enable', 'mallory', '--actor', 'ops@desk', '--reason', 'found again');
    const { jti } = await stores.json('token', 'issue', '--sub', 'mallory', '--actor', 'ops@desk');
    const named = ['token', 'revoke', '--sub', 'mallory', '--jti', jti];
    await stores.json(...named, '--actor', 'ops@desk', '--reason', 'Grund: Verlust');
    await stores.json('cache', 'flush', '--sub', 'mallory', '--yes', '--actor', 'ops@desk');
    await stores.json('keys', 'rotate', '--now', '--actor', 'ops@desk');
    await stores.json('users', 'remove', 'mallory', '--yes', '--actor', 'ops@desk', '--reason', 'left');

    const rows = await stores.query(
      "SELECT action, target, reason FROM audit_log WHERE actor = 'ops@desk' ORDER BY seq",
    );
    expect(rows.map(({ action, reason }) => [action, reason])).toEqual([
      ['keys.generate', null],
      ['users.add', null],
      ['users.disable', 'lost laptop'],
      ['users.enable', 'found again'],
      ['token.issue', null],
      ['token.revoke', 'Grund: Verlust'],
      ['cache.flush', null],
      ['cache.flush', expect.stringContaining('removed')],
      ['keys.rotate', 'forced'],
      ['keys.rotate', 'forced'],
      ['keys.rotate', 'forced'],
      ['users.remove', 'left'],
    ]);
    expect(rows[0]?.target).toBe(kid);
    expect(String(rows[4]?.target)).toContain(jti);
  });

  test('the default actor in the audit log is user@host', async () => {
    await stores.json('users', 'add', 'zoe');

    const [row] = await stores.query("SELECT actor FROM audit_log WHERE target = 'zoe'");
    expect(row?.actor).toMatch(/^[^@]+@[^@]+$/);
  });

  test('cache inspect counts every token once', async () => {
    const report = await stores.json('cache', 'inspect', '--top', '3');

    expect(report).toMatchObject({ entries: 80, subjects: 40, complete: true });
    expect(report.topSubjects).toHaveLength(3);
    expect(report.byKid).toMatchObject([{ kid, state: 'retiring', entries: 80 }]);
    const perNode = report.byNode.map((row: { entries: number }) => row.entries);
    expect(perNode.reduce((sum: number, entries: number) => sum + entries, 0)).toBe(80);
    expect(await stores.json('cache', 'inspect', '--sub', 'user-7')).toMatchObject({
      entries: 2,
      subjects: 1,
    });
  });

  test('a cluster stores sets on all three masters', async () => {
    if (stores.redis === null) return expect(backend).toBe('SQLite');

    const counts = [...(await stores.redis.keys()).values()].map((names) => names.length);
    expect(counts).toHaveLength(3);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    const nodes = await stores.json('cache', 'nodes');
    const masters = nodes.filter((node: { role: string }) => node.role === 'master');
    expect(masters).toHaveLength(3);
    expect(nodes).toHaveLength(6);
    expect(masters.reduce((sum: number, node: { slots: number }) => sum + node.slots, 0)).toBe(16_384);
  });

  test('every key in Redis expires at its last exp plus the clock tolerance', async () => {
    if (stores.redis === null) return expect(backend).toBe('SQLite');
    const { client, prefix } = stores.redis;

    for (const sub of SUBJECTS) {
      const exp = expBySub.get(sub) as number;
      expect(await client.call('EXPIRETIME', `${prefix}:{${sub}}`)).toBe(exp + CLOCK_TOLERANCE);
    }
  });

  test('cache flush keeps foreign keys in the same Redis', async () => {
    if (stores.redis === null) return expect(backend).toBe('SQLite');
    const { client, prefix } = stores.redis;
    const foreign = [
      prefix,
      `${prefix}x:{user-1}`,
      `x${prefix}:{user-1}`,
      `${prefix}:user-1`,
      `${prefix}:{user-1}:mine`,
    ];
    for (const name of foreign) await client.set(name, 'theirs', 'EX', 300);
    try {
      const flushed = await stores.json('cache', 'flush', '--all', '--yes');

      expect(flushed).toMatchObject({ matched: 80, removed: 80, complete: true });
      const removed = flushed.byNode.map((row: { removed: number }) => row.removed);
      expect(Math.min(...removed)).toBeGreaterThan(0);
      expect(await Promise.all(foreign.map((name) => client.get(name)))).toEqual(foreign.map(() => 'theirs'));
      expect(await stores.json('cache', 'inspect')).toMatchObject({ entries: 0, subjects: 0 });
    } finally {
      for (const name of foreign) await client.unlink(name);
    }
  });
});
