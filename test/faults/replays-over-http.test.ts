import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { keyspace } from '../../src/adapters/redis/keyspace.js';
import { startFailingCluster } from '../support/failing-over.js';
import { REPLAYS } from '../support/repetitions.js';
import { type Served, startServed } from '../support/served.js';
import {
  type Answer,
  CLIENTS,
  logIn,
  refresh,
  refusedAfter,
  retried,
} from '../support/sessions-over-http.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const WITHIN_MS = 2_000;
/** Longer than all uses take on a busy machine: a use after it would end the session. */
const GRACE_SECONDS = 5;
/** Longer than a failover, which delays some of the uses. */
const FAILOVER_GRACE_SECONDS = 10;
const USES = 64;
const HASH_SLOTS = 16_384;

const opened: Array<() => Promise<void>> = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function open(backend: (typeof BACKENDS)[number], env: Record<string, string> = {}) {
  const grace = { JWTCTL_REFRESH_GRACE: `${GRACE_SECONDS}s` };
  const stores = await openStores(backend, {
    ...CLIENTS,
    ...grace,
    JWTCTL_VERIFIER_NEAR_CACHE: 'true',
    ...env,
  });
  opened.push(() => stores.close());
  await stores.json('keys', 'generate');
  await stores.json('users', 'add', 'alice');
  const servers = [await start(stores, '--workers', '2'), await start(stores)] as const;
  return { stores, servers };
}

async function start({ env }: Stores, ...flags: string[]): Promise<Served> {
  const served = await startServed(env, ...flags);
  opened.push(() => served.kill());
  return served;
}

/** Uses the refresh token {@link USES} times at once, over two servers. */
function replay(servers: readonly [Served, Served], refreshToken: string): Promise<Answer[]> {
  return Promise.all(
    Array.from({ length: USES }, (_, index) =>
      retried(() => refresh(servers[index % 2] as Served, refreshToken)),
    ),
  );
}

/** A token has the same `jti` wherever it was made, but its `iat` is that of the step that Redis kept. */
const jtiOf = (token: string) =>
  JSON.parse(Buffer.from(String(token.split('.')[1]), 'base64url').toString()).jti;

/** Returns a subject for each master, whose keys it has. */
function subjectsOfEachPair(prefix: string): string[] {
  return [0, 1, 2].map((third) => {
    const isThere = (sub: string) =>
      Math.floor((keyspace(prefix).keysOf(sub).slot * 3) / HASH_SLOTS) === third;
    return String(Array.from({ length: 100 }, (_, index) => `user-${index}`).find(isThere));
  });
}

/** Uses this refresh token after its grace. Returns how long verifiers accepted the tokens of its session. */
async function endAfterGrace(
  servers: readonly [Served, Served],
  refreshToken: string,
  tokens: readonly string[],
  graceSeconds = GRACE_SECONDS,
) {
  // The grace is by the clock of the store, which no test can move.
  await delay(1000 * graceSeconds + 1_100);
  const reused = await retried(() => refresh(servers[0], refreshToken));
  expect([reused.status, reused.body.error]).toEqual([400, 'invalid_grant']);
  return refusedAfter(servers, tokens);
}

describe.each(BACKENDS)('many uses at once of one refresh token on %s', (backend) => {
  test(`return one successor, and a use after the grace ends the session for all verifiers, ${REPLAYS} times`, {
    timeout: 30_000 + 10_000 * REPLAYS,
  }, async () => {
    const { servers } = await open(backend);
    for (let round = 0; round < REPLAYS; round++) {
      const { token, refreshToken } = await logIn(servers[0]);
      const answers = await replay(servers, refreshToken);
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      expect(
        new Set(answers.map(({ body }) => JSON.stringify([body.access_token, body.refresh_token]))).size,
      ).toBe(1);
      const next = answers[0]?.body;
      expect(await endAfterGrace(servers, refreshToken, [token, next.access_token])).toBeLessThan(WITHIN_MS);
      expect((await refresh(servers[1], next.refresh_token)).body.error).toBe('invalid_grant');
    }
  });
});

test(`many uses at once while a master is killed return one successor, ${REPLAYS} times`, {
  timeout: 60_000 + 30_000 * REPLAYS,
}, async () => {
  const cluster = await startFailingCluster();
  opened.push(() => cluster.stop());
  const { stores, servers } = await open('MariaDB and a Redis Cluster', {
    JWTCTL_REDIS_NODES: cluster.nodes.join(','),
    JWTCTL_REFRESH_GRACE: `${FAILOVER_GRACE_SECONDS}s`,
  });
  const subs = subjectsOfEachPair(String(stores.env.JWTCTL_REDIS_PREFIX));
  for (const sub of subs) await stores.json('users', 'add', sub);
  for (let round = 0; round < REPLAYS; round++) {
    const { token, refreshToken } = await logIn(servers[0], subs[round % 3]);
    const killing = cluster.failOver(round % 3);
    const answers = await replay(servers, refreshToken);
    await killing;
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const tokens = [...new Set(answers.map(({ body }) => String(body.access_token)))];
    expect(new Set(tokens.map(jtiOf)).size).toBe(1);
    const accepted = await endAfterGrace(servers, refreshToken, [token, ...tokens], FAILOVER_GRACE_SECONDS);
    expect(accepted).toBeLessThan(WITHIN_MS);
    await cluster.rejoin(round % 3);
  }
});
