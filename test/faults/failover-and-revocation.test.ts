import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyspace } from '../../src/adapters/redis/keyspace.js';
import { JwtctlError, type OpenVerifier, openVerifier } from '../../src/index.js';
import { type FailingCluster, type PairedNode, startFailingCluster } from '../support/failing-over.js';
import { openStores, type Stores } from '../support/stores.js';

const HASH_SLOTS = 16_384;
const FAILOVERS = 20;

let cluster: FailingCluster;
let stores: Stores;
let verifier: OpenVerifier;
let prefix = '';

beforeAll(async () => {
  cluster = await startFailingCluster();
  stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_REDIS_NODES: cluster.nodes.join(',') });
  prefix = String(stores.env.JWTCTL_REDIS_PREFIX);
  await stores.json('keys', 'generate');
  verifier = await openVerifier({
    mysql: { url: String(stores.env.JWTCTL_MYSQL_URL) },
    redis: { nodes: cluster.nodes, prefix },
  });
});
afterAll(async () => {
  await verifier?.close();
  await stores?.close();
  await cluster?.stop();
});

let lastUser = 0;

/** Issues a token for a new user whose set is on one pair of nodes. */
async function issueIn(third: number) {
  let sub: string;
  do sub = `user-${++lastUser}`;
  while (Math.floor((keyspace(prefix).keysOf(sub).slot * 3) / HASH_SLOTS) !== third);
  const { token, jti, iat, kid } = await stores.json('token', 'issue', '--sub', sub, '--create-user');
  const [row] = await stores.query('SELECT id FROM keystore WHERE kid = ?', [kid]);
  const member = `${Number(row?.id).toString(36)}.${iat.toString(36)}.${jti}`;
  return { sub, set: `${prefix}:{${sub}}`, token, member };
}

/** Returns the verdict of a running verifier. During a failover, a store may be unavailable. */
async function verdict(token: string): Promise<string> {
  for (;;) {
    try {
      const result = await verifier.verify(token);
      return result.active ? 'accepted' : result.error.code;
    } catch (error) {
      if (!(error instanceof JwtctlError) || error.kind !== 'unavailable') throw error;
    }
  }
}

async function verdictOfCli(token: string): Promise<string> {
  const { exitCode, json, stderr } = await stores.run('token', 'verify', token, '--json');
  if (exitCode > 1) throw new Error(stderr);
  return json().active ? 'accepted' : json().error.code;
}

/** Reads directly from Redis. `!s` is the cached user status, negative for a disabled user. */
async function scoreAt({ client }: PairedNode, set: string, member: string): Promise<number | null> {
  const score = await client.zscore(set, member);
  return score === null ? null : Number(score);
}

test(`revocations that a failed master loses stay in effect and are repaired, ${FAILOVERS} times`, async () => {
  const verdicts = { stale: [] as string[], disabled: [] as string[] };
  for (let round = 0; round < FAILOVERS; round++) {
    const third = round % 3;
    const stale = await issueIn(third);
    const disabled = await issueIn(third);
    const unseen = await issueIn(third);
    for (const { token } of [stale, disabled, unseen]) expect(await verdict(token)).toBe('accepted');
    await cluster.replicated(third);

    await cluster.cut(third);
    const revoked = await stores.json('token', 'revoke', stale.token);
    expect(revoked).toMatchObject({ revoked: 1, replicasConfirmed: 0 });
    await stores.json('users', 'disable', disabled.sub);
    await stores.json('users', 'disable', unseen.sub);
    const dying = cluster.pair(third).master;
    expect(await scoreAt(dying, stale.set, stale.member)).toBeNull();
    expect(await scoreAt(dying, disabled.set, '!s')).toBeLessThan(0);
    await cluster.failOver(third);

    // Redis lost all of it: the entry is back, and both users are enabled.
    const { master } = cluster.pair(third);
    expect(await scoreAt(master, stale.set, stale.member)).toBeGreaterThan(0);
    for (const { set } of [disabled, unseen]) {
      expect(await scoreAt(master, set, '!s')).toBeGreaterThan(Date.now() / 1000);
    }
    verdicts.stale.push(await verdict(stale.token), await verdictOfCli(stale.token));
    verdicts.disabled.push(await verdict(disabled.token), await verdictOfCli(disabled.token));

    // A verification caches the status of one user; reconcile repairs the other.
    expect(await stores.json('cache', 'reconcile')).toMatchObject({
      ...{ complete: true, dropped: { revoked: 1, keyNotTrusted: 0, userUnknown: 0 }, statusesCached: 1 },
    });
    expect(await master.client.exists(stale.set)).toBe(0);
    for (const { set } of [disabled, unseen]) expect(await scoreAt(master, set, '!s')).toBeLessThan(0);
    await cluster.rejoin(third);
  }
  expect(verdicts).toEqual({
    stale: Array(2 * FAILOVERS).fill('ERR_TOKEN_REVOKED'),
    disabled: Array(2 * FAILOVERS).fill('ERR_USER_DISABLED'),
  });
}, 180_000);

test('reconcile repairs the reachable part of a cluster and reports the rest', async () => {
  const [lost, stale] = [await issueIn(0), await issueIn(1)];
  for (const { set, member, token } of [lost, stale]) {
    await stores.json('token', 'revoke', token);
    const third = set === lost.set ? 0 : 1;
    await cluster.pair(third).master.client.zadd(set, Math.floor(Date.now() / 1000) + 600, member);
  }
  await cluster.lose(0);

  const { exitCode, stderr, json } = await stores.run('cache', 'reconcile', '--json');
  expect({ exitCode, stderr }).toEqual({ exitCode: 5, stderr: expect.stringMatching(/slots 0-5461? \(/) });
  expect(json()).toMatchObject({ complete: false, dropped: { revoked: 1 }, missed: [expect.any(String)] });
  expect(await cluster.pair(1).master.client.exists(stale.set)).toBe(0);
  const [row] = await stores.query('SELECT action, outcome FROM audit_log ORDER BY seq DESC LIMIT 1');
  expect(row).toEqual({ action: 'cache.reconcile', outcome: 'partial' });
});
