import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyspace } from '../../src/adapters/redis/keyspace.js';
import {
  JwtctlError,
  type OpenIssuer,
  type OpenVerifier,
  openIssuer,
  openVerifier,
} from '../../src/index.js';
import { type FailingCluster, startFailingCluster } from '../support/failing-over.js';
import { openStores, type Stores } from '../support/stores.js';

const HASH_SLOTS = 16_384;
const FAILOVERS = 20;
const GRACE_SECONDS = 1;

let cluster: FailingCluster;
let stores: Stores;
let issuer: OpenIssuer;
let verifier: OpenVerifier;
let prefix = '';

beforeAll(async () => {
  cluster = await startFailingCluster();
  stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_REDIS_NODES: cluster.nodes.join(',') });
  prefix = String(stores.env.JWTCTL_REDIS_PREFIX);
  await stores.json('keys', 'generate');
  const options = {
    mysql: { url: String(stores.env.JWTCTL_MYSQL_URL) },
    redis: { nodes: cluster.nodes, prefix },
    masterKey: { file: String(stores.env.JWTCTL_MASTER_KEY_FILE) },
    refresh: { grace: `${GRACE_SECONDS}s` },
  };
  issuer = await openIssuer(options);
  verifier = await openVerifier(options);
});
afterAll(async () => {
  await issuer?.close();
  await verifier?.close();
  await stores?.close();
  await cluster?.stop();
});

let lastUser = 0;

/** Begins a session of a new user whose keys are on one pair of nodes. */
async function logInAt(third: number) {
  let sub: string;
  do sub = `user-${++lastUser}`;
  while (Math.floor((keyspace(prefix).keysOf(sub).slot * 3) / HASH_SLOTS) !== third);
  await stores.json('users', 'add', sub);
  const { token, refreshToken = '' } = await retried(() => issuer.issue({ sub, refresh: true }));
  return { sub, token, refreshToken, families: keyspace(prefix).keysOf(sub).refresh };
}

/** During a failover, a store may be unavailable. */
async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof JwtctlError) || error.kind !== 'unavailable') throw error;
    }
  }
}

async function refresh(refreshToken: string) {
  const { token, refreshToken: next = '' } = await retried(() => issuer.refresh(refreshToken));
  return { token, refreshToken: next };
}

async function codeOf(refreshToken: string): Promise<string> {
  return refresh(refreshToken).then(
    () => 'refreshed',
    ({ code }) => code,
  );
}

async function verdict(token: string): Promise<string> {
  const result = await retried(() => verifier.verify(token));
  return result.active ? 'accepted' : result.error.code;
}

test(`a session goes on after a failover that lost a refresh, and one that had ended does not, ${FAILOVERS} times`, async () => {
  const outcomes = { lost: [] as string[], ended: [] as string[], reused: [] as string[] };
  for (let round = 0; round < FAILOVERS; round++) {
    const third = round % 3;
    const [lost, ended, reused] = [await logInAt(third), await logInAt(third), await logInAt(third)];
    const stolen = await refresh(reused.refreshToken);
    await cluster.replicated(third);

    await cluster.cut(third);
    const next = await refresh(lost.refreshToken);
    expect(await stores.json('token', 'revoke', ended.token)).toMatchObject({ revoked: 1, sessions: 1 });
    await delay(1000 * GRACE_SECONDS + 100);
    expect(await codeOf(reused.refreshToken)).toBe('ERR_REFRESH_REUSED');
    await cluster.failOver(third);

    // Redis lost all of it.
    const { client } = cluster.pair(third).master;
    for (const { families } of [lost, ended, reused]) expect(await client.hlen(families)).toBe(1);
    const after = await refresh(next.refreshToken);
    outcomes.lost.push(await verdict(after.token), await codeOf(after.refreshToken));
    outcomes.ended.push(await codeOf(ended.refreshToken), await verdict(ended.token));
    outcomes.reused.push(await codeOf(stolen.refreshToken), await verdict(stolen.token));
    await cluster.rejoin(third);
  }
  const all = (...codes: string[]) => Array(FAILOVERS).fill(codes).flat();
  expect(outcomes).toEqual({
    lost: all('accepted', 'refreshed'),
    ended: all('ERR_REFRESH_REVOKED', 'ERR_TOKEN_REVOKED'),
    reused: all('ERR_REFRESH_REVOKED', 'ERR_TOKEN_REVOKED'),
  });
}, 300_000);
