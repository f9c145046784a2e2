import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyIds, plant } from '../../../support/planted-entries.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';
import { runAt } from '../../../support/terminal.js';

const LONG = 'x'.repeat(255);
/** The id of no row in the key store. */
const ROW_THAT_IS_GONE = 4_242;

/** For each subject, the kid and the remaining seconds of each entry. */
const KNOWN: Record<string, Array<[kid: string, left: number]>> = {
  // The first has expired but is within the clock tolerance of 5 s. The last is beyond it.
  alice: [
    ['this-year', -4],
    ['this-year', 60],
    ['this-year', 61],
    ['last-year', 300],
    ['leaked', 301],
    ['this-year', -5],
  ],
  bob: [
    ['this-year', 900],
    ['this-year', 901],
    ['this-year', 3_600],
  ],
  'a}b{c': [
    ['this-year', 3_601],
    ['last-year', 21_600],
  ],
  '%61lice': [['this-year', 21_601]],
  [LONG]: [['this-year', 86_400]],
  unknown: [
    ['this-year', 86_401],
    ['gone', 604_800],
  ],
  Alice: [['last-year', 604_801]],
};
const USERS = ['alice', 'bob', 'a}b{c', '%61lice', LONG];

describe.each(BACKENDS)('cache inspect, on %s', (backend) => {
  let stores: Stores;
  let now = 0;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'last-year');
    await stores.json('keys', 'generate', '--kid', 'this-year');
    await stores.json('keys', 'generate', '--kid', 'leaked');
    await stores.json('keys', 'activate', 'this-year', '--now');
    await stores.json('keys', 'compromise', 'leaked', '--reason', 'a test', '--yes');
    for (const sub of USERS) await stores.json('users', 'add', sub);
    await stores.json('users', 'disable', 'bob');
    now = stores.clock.now();
    const ids: Record<string, number> = { ...(await keyIds(stores)), gone: ROW_THAT_IS_GONE };
    for (const [sub, tokens] of Object.entries(KNOWN)) {
      await plant(
        stores,
        sub,
        tokens.map(([kid, left], index) => ({
          ...{ jti: `j${index}`, keyId: ids[kid] ?? 0, iat: now - 10, exp: now + left },
        })),
      );
    }
  });
  afterAll(() => stores?.close());

  test('counts all entries by every criterion', async () => {
    const report = await stores.json('cache', 'inspect', '--top', '3');

    expect(report).toMatchObject({
      backend: stores.isCluster ? 'redis-cluster' : 'sqlite',
      ...{ prefix: stores.redis?.prefix ?? '', complete: true, entries: 15, subjects: 7 },
    });
    const keyId = expect.any(Number);
    expect(report.byKid).toEqual([
      { kid: 'this-year', keyId, state: 'active', entries: 10 },
      { kid: 'last-year', keyId, state: 'retiring', entries: 3 },
      { kid: 'leaked', keyId, state: 'compromised', entries: 1 },
      { kid: null, keyId: 4242, state: null, entries: 1 },
    ]);
    expect((await stores.run('cache', 'inspect')).stdout).toContain('(unknown key 4242)');
    expect(report.ttl).toEqual([
      { leSeconds: 60, entries: 2 },
      { leSeconds: 300, entries: 2 },
      { leSeconds: 900, entries: 2 },
      { leSeconds: 3_600, entries: 2 },
      { leSeconds: 21_600, entries: 2 },
      { leSeconds: 86_400, entries: 2 },
      { leSeconds: 604_800, entries: 2 },
      { leSeconds: null, entries: 1 },
    ]);
    expect(report.topSubjects).toEqual([
      { sub: 'alice', entries: 5 },
      { sub: 'bob', entries: 3 },
      { sub: 'a}b{c', entries: 2 },
    ]);
    expect(report.anomalies).toEqual({
      ...{ noTtl: null, ttlMismatch: null, unknownKid: 1, unknownUser: null, malformed: 0 },
    });
    expect(report.byNode.reduce((sum: number, { entries }: { entries: number }) => sum + entries, 0)).toBe(
      15,
    );
  });

  test('checks the expiry and the user of each subject with --deep', async () => {
    const { anomalies, entries } = await stores.json('cache', 'inspect', '--deep');

    expect(entries).toBe(15);
    expect(anomalies).toEqual({
      ...{ noTtl: 0, ttlMismatch: 0, unknownKid: 1, unknownUser: 2, malformed: 0 },
    });
  });

  test('shows the master and the memory of each subject', async () => {
    const { byNode, bytes } = await stores.json('cache', 'inspect');
    if (stores.redis === null) {
      expect(byNode).toMatchObject([{ role: 'embedded', slots: null, entries: 15 }]);
      expect(bytes).toBeGreaterThan(0);
      return;
    }
    const { client } = stores.redis;
    const held = await stores.redis.keys();
    let used = 0;
    for (const { node, role, slots, usedMemoryBytes, entries } of byNode) {
      let count = 0;
      const sets = (held.get(node) ?? []).filter((key) => key.endsWith('}'));
      for (const key of sets) {
        // One member of alice has expired.
        count += (await client.zcard(key)) - (key.includes('{alice}') ? 1 : 0);
        used += (await client.memory('USAGE', key)) ?? 0;
      }
      expect({ role, entries }).toEqual({ role: 'master', entries: count });
      expect(slots).toBeGreaterThan(5_000);
      expect(usedMemoryBytes).toBeGreaterThan(100_000);
    }
    expect(byNode).toHaveLength(3);
    // With so few subjects, every one is measured.
    expect(bytes).toBe(used);
  });

  test('counts the entries and subjects of one key', async () => {
    const report = await stores.json('cache', 'inspect', '--kid', 'last-year', '--deep');

    expect(report).toMatchObject({
      ...{ entries: 3, subjects: 3, byKid: [{ kid: 'last-year', state: 'retiring', entries: 3 }] },
      topSubjects: [
        { sub: 'Alice', entries: 1 },
        { sub: 'alice', entries: 1 },
        { sub: 'a}b{c', entries: 1 },
      ],
      anomalies: { noTtl: 0, ttlMismatch: 0, unknownKid: 0, unknownUser: 1, malformed: 0 },
    });
    const ttl = report.ttl.filter(({ entries }: { entries: number }) => entries > 0);
    expect(ttl).toEqual([
      { leSeconds: 300, entries: 1 },
      { leSeconds: 21_600, entries: 1 },
      { leSeconds: null, entries: 1 },
    ]);
    const none = await stores.run('cache', 'inspect', '--kid', 'nowhere', '--json');
    expect({ exitCode: none.exitCode, code: none.error().code }).toEqual({
      exitCode: 3,
      code: 'ERR_KEY_UNKNOWN',
    });
  });

  test.each([
    { sub: 'alice', entries: 5, expired: 1, lastLeft: 301, userStatus: 'enabled' },
    { sub: 'bob', entries: 3, expired: 0, lastLeft: 3_600, userStatus: 'disabled' },
    { sub: 'a}b{c', entries: 2, expired: 0, lastLeft: 21_600, userStatus: 'enabled' },
    { sub: 'Alice', entries: 1, expired: 0, lastLeft: 604_801, userStatus: 'unknown' },
  ])('shows everything about the subject $sub', async ({ sub, entries, expired, lastLeft, userStatus }) => {
    const report = await stores.json('cache', 'inspect', `--sub=${sub}`);

    expect(report).toMatchObject({
      ...{ complete: true, entries, subjects: 1, topSubjects: [{ sub, entries }] },
      anomalies: { noTtl: 0, ttlMismatch: 0, unknownUser: userStatus === 'unknown' ? 1 : 0, malformed: 0 },
      subject: { sub, expiresAt: now + lastLeft + 5, expired, userStatus, cachedUser: null },
    });
    expect(report.byNode).toMatchObject([{ node: report.subject.node, entries }]);
    expect(report.bytes).toBeGreaterThan(0);
    if (stores.redis !== null) {
      const holders = [...(await stores.redis.keys())].filter(([, keys]) =>
        keys.some((key) => key.endsWith(`{${encodeURIComponent(sub)}}`)),
      );
      expect(holders.map(([node]) => node)).toEqual([report.subject.node]);
    }
  });

  test('shows zeros for a subject without tokens', async () => {
    expect(await stores.json('cache', 'inspect', '--sub', 'zoe')).toMatchObject({
      ...{ complete: true, entries: 0, subjects: 0, bytes: 0 },
      subject: { sub: 'zoe', expiresAt: null, expired: 0, userStatus: 'unknown' },
    });
  });

  test('shows its counts in a table that fits an 80-column terminal, and in full in a pipe', async () => {
    const words = ['cache', 'inspect', '-q', '-o', 'table'];
    const { stdout, stderr } = await runAt({ columns: 80 }, stores, ...words);

    expect(stdout).toMatch(
      /^15 tokens of 7 subjects in (redis-cluster under \w+|sqlite), about [\d.]+ K?i?B$/m,
    );
    expect(stdout).toContain('Verification refuses 1 token, because');
    expect(stdout).toMatch(/^this-year +active +10 +66\.7% +█+$/m);
    expect(stdout).toMatch(/^leaked +compromised +1 +6\.7% +█+/m);
    expect(stdout).toMatch(/^ +1 {2}tokens of keys that are not in the key store$/m);
    expect(stdout).toMatch(/^ +6h +1 +6\.7% +█/m);
    expect(stdout).toMatch(/^ +later +3 +20\.0% +█/m);
    expect(stdout).toMatch(/^x+…x+ +1 +6\.7% +█+/m);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(stderr).toBe('');
    expect((await stores.run(...words)).stdout).toMatch(/^x{255} +1 +6\.7% +█+/m);
  });

  test('prints only the number of entries with --quiet', async () => {
    expect((await stores.run('cache', 'inspect', '-q')).stdout).toBe('15\n');
  });

  test('changes nothing', async () => {
    const before = await stores.content();
    await stores.json('cache', 'inspect', '--deep');
    await stores.json('cache', 'inspect', '--sub', 'alice');
    expect(await stores.content()).toBe(before);
  });
});
