import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyIds, plant, setOf } from '../../../support/planted-entries.js';
import { openStores, type Stores } from '../../../support/stores.js';

let stores: Stores;
let foreign: string[] = [];
let now = 0;
/** A member that looks like an entry. */
let member = '';

beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  await stores.json('keys', 'generate', '--kid', 'k1');
  now = stores.clock.now();
  const { client, prefix } = redis();
  const keyId = (await keyIds(stores)).k1 ?? 0;
  const entry = { keyId, iat: now - 10, exp: now + 3_600 };
  member = `${keyId.toString(36)}.${(now - 10).toString(36)}.j`;
  for (const sub of ['alice', 'never', 'early', 'late', 'known']) {
    await plant(stores, sub, [{ ...entry, jti: 'j' }]);
  }
  await stores.json('users', 'add', 'known');

  await client.zadd(setOf(stores, 'alice'), now + 9_999, 'nonsense', '+inf', '1.1.inf', 5, '01.1.x');
  await client.persist(setOf(stores, 'never'));
  await client.expireat(setOf(stores, 'early'), now + 3_600);
  await client.expireat(setOf(stores, 'late'), now + 3_606);
  // Sets without entries: one is foreign, and one contains only the version of a user status.
  await client.zadd(setOf(stores, 'no-entries'), 1, 'nonsense');
  await client.zadd(setOf(stores, 'left-behind'), -3, '!v');
  await client.expireat(setOf(stores, 'left-behind'), now + 600);

  const exp = String(now + 3_600);
  const strings = [prefix, `${prefix}:`, `${prefix}:alice`, `${prefix}:{alice}x`, `${prefix}:{theirs}`];
  const sets = [
    ...[`${prefix}x:{alice}`, `x${prefix}:{alice}`, `${prefix}:{%61lice}`, `${prefix}:{}`, `${prefix}:{a b}`],
    ...[`${prefix}:{alice}:more`, `${prefix}:{{alice}}`],
  ];
  for (const key of strings) await client.set(key, 'theirs');
  for (const key of sets) await client.zadd(key, exp, member);
  await client.rpush(`${prefix}:{list}`, member);
  await client.hset(`${prefix}:{hash}`, member, exp);
  await client.sadd(`${prefix}:{set}`, member);
  foreign = [...strings, ...sets, ...['list', 'hash', 'set'].map((name) => `${prefix}:{${name}}`)];
});
afterAll(async () => {
  for (const key of foreign) await stores?.redis?.client.del(key);
  await stores?.close();
});

function redis() {
  if (stores.redis === null) throw new Error('These stores have no Redis.');
  return stores.redis;
}

test('counts entries, and no foreign keys with similar names', async () => {
  expect(await stores.json('cache', 'inspect')).toMatchObject({
    ...{ complete: true, entries: 5, subjects: 5, byKid: [{ kid: 'k1', state: 'active', entries: 5 }] },
    anomalies: { noTtl: null, ttlMismatch: null, unknownKid: 0, unknownUser: null, malformed: 3 },
  });
});

test('a deep inspection counts each anomaly once', async () => {
  const report = await stores.json('cache', 'inspect', '--deep');
  expect(report).toMatchObject({ entries: 5, subjects: 5 });
  expect(report.anomalies).toEqual({
    // never
    noTtl: 1,
    // early, late, left-behind
    ttlMismatch: 3,
    unknownKid: 0,
    // all but known
    unknownUser: 4,
    // Only those in alice's set, because a set without entries is foreign.
    malformed: 3,
  });
});

test.each([
  { sub: 'alice', anomalies: { malformed: 3 } },
  { sub: 'never', anomalies: { noTtl: 1 }, expiresAt: null },
  { sub: 'early', anomalies: { ttlMismatch: 1 }, left: 3_600 },
  { sub: 'late', anomalies: { ttlMismatch: 1 }, left: 3_606 },
  { sub: 'no-entries', anomalies: { unknownUser: 0 }, expiresAt: null },
  { sub: 'left-behind', anomalies: { ttlMismatch: 1, unknownUser: 0 }, left: 600 },
])('counts only the anomalies of $sub', async ({ sub, anomalies, left = 3_605, expiresAt = now + left }) => {
  const report = await stores.json('cache', 'inspect', '--sub', sub);
  expect(report.anomalies).toEqual({
    ...{ noTtl: 0, ttlMismatch: 0, unknownKid: 0, unknownUser: 1, malformed: 0 },
    ...anomalies,
  });
  expect(report.subject.expiresAt).toBe(expiresAt);
});

test.each([
  ['cache', 'inspect', '--sub'],
  ['cache', 'get', '--jti', 'j', '--sub'],
  ['cache', 'flush', '--yes', '--sub'],
  ['token', 'list', '--sub'],
])('%s %s reports a key of the wrong type', async (...words) => {
  for (const sub of ['theirs', 'list', 'hash', 'set']) {
    const { exitCode, error } = await stores.run(...words, sub, '--json');
    expect([exitCode, error()?.code]).toEqual([3, 'ERR_REDIS_WRONG_TYPE']);
  }
});

test('a subject whose key has the wrong type can be revoked', async () => {
  const { revoked } = await stores.json('token', 'revoke', '--sub', 'theirs', '--all', '--yes');
  expect(revoked).toBe(0);
  const [event] = await stores.query("SELECT type FROM security_log WHERE sub = 'theirs'");
  expect(event).toMatchObject({ type: 'subject_revoked' });
});

test('inspecting changes no foreign key', async () => {
  const { client } = redis();
  const content = () =>
    Promise.all(foreign.map(async (key) => [key, await client.type(key), await client.dump(key)]));
  const before = await content();
  await stores.json('cache', 'inspect', '--deep');
  await stores.run('cache', 'inspect', '--sub', 'theirs');
  await stores.run('cache', 'get', '--sub', 'theirs', '--jti', 'j');
  expect(await content()).toEqual(before);
});
