import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { keyspace } from '../../src/adapters/redis/keyspace.js';
import { systemClock } from '../../src/app/clock.js';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import { openStoreIssuer } from '../../src/issuer/store-issuer.js';
import type { LiveVerifier } from '../../src/verifier/live-verifier.js';
import { openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { openContext } from '../support/opened-context.js';
import { type SwitchingProxy, startSwitchingProxy } from '../support/proxies/switching-proxy.js';
import { type ReplicatedMysql, startReplicatedMysql } from '../support/replicated-mysql.js';
import { openStores, type Stores } from '../support/stores.js';

// Each test starts two servers.
vi.setConfig({ testTimeout: 120_000 });

let mysql: ReplicatedMysql;
let proxy: SwitchingProxy;
let stores: Stores;
let warnings: string[];
let closers: Array<() => Promise<unknown>>;

beforeEach(async () => {
  mysql = await startReplicatedMysql();
  proxy = await startSwitchingProxy(mysql.a.url);
  closers = [];
  warnings = [];
  stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_MYSQL_URL: proxy.url });
  await stores.json('keys', 'generate');
  await mysql.replicated();
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  await stores?.close();
  await proxy?.stop();
  await mysql?.stop();
});

async function contextOver(url: string) {
  const env = { ...stores.env, JWTCTL_MYSQL_URL: url };
  const context = await openContext({ env, home: stores.home, clock: systemClock });
  closers.push(() => context.dispose());
  return context;
}

async function openVerifier(url = proxy.url): Promise<LiveVerifier> {
  const verifier = await openLiveVerifier(await contextOver(url), { warn: (text) => warnings.push(text) });
  closers.push(() => verifier.close());
  return verifier;
}

async function verdict(verifier: LiveVerifier, token: string): Promise<string> {
  try {
    const result = await verifier.verify(token);
    return result.active ? 'accepted' : result.error.code;
  } catch (error) {
    if (error instanceof JwtctlError && error.kind === 'unavailable') return 'unavailable';
    throw error;
  }
}

/** Collects all verdicts until the first one of this kind. */
async function verdictsUntil(wanted: string, verifier: LiveVerifier, token: string): Promise<string[]> {
  const verdicts = new Set<string>();
  const deadline = Date.now() + 15_000;
  while (!verdicts.has(wanted)) {
    if (Date.now() > deadline) throw new Error(`Only ${[...verdicts].join(', ')}.`);
    verdicts.add(await verdict(verifier, token));
    await delay(20);
  }
  return [...verdicts];
}

/** Issues a token, and returns it with a function that restores its entry in Redis. */
async function issue(sub: string) {
  const issued = await stores.json('token', 'issue', '--sub', sub, '--create-user');
  const set = keyspace(String(stores.env.JWTCTL_REDIS_PREFIX)).keysOf(sub).entries;
  const entries = (await stores.redis?.client.zrange(set, '0', '-1', 'WITHSCORES')) ?? [];
  const place = entries.findIndex((member) => member.endsWith(issued.jti));
  return {
    token: String(issued.token),
    kid: String(issued.kid),
    bringBack: () => stores.redis?.client.zadd(set, String(entries[place + 1]), String(entries[place])),
  };
}

test('a verifier follows a switchover within seconds, although its connections stay with the old primary', async () => {
  const { token, bringBack } = await issue('alice');
  await mysql.replicated();
  const verifier = await openVerifier();
  expect(await verdict(verifier, token)).toBe('accepted');

  proxy.switchTo(mysql.b.url);
  await mysql.switchOver();
  await stores.json('token', 'revoke', token);
  // As if Redis had lost the removal in a failover.
  await bringBack();

  await verdictsUntil('ERR_TOKEN_REVOKED', verifier, token);
  expect(warnings).toEqual(['MySQL no longer accepts writes. Reopening all connections to it.']);
  expect(verifier.health().database.state).toBe('up');
});

test('after a read-only server refuses a write, the next write connects to the new primary', async () => {
  const { database: open } = await contextOver(proxy.url);
  const database = await open();
  await Promise.all([1, 2, 3, 4].map(() => database.keys.snapshot()));
  proxy.switchTo(mysql.b.url);
  await mysql.switchOver();
  const write = () => database.transaction(({ users }) => users.add({ sub: 'bob', name: null, at: 1 }));
  await expect(write()).rejects.toMatchObject({ code: 'ERR_MYSQL_READ_ONLY', kind: 'unavailable' });
  await expect(write()).resolves.toMatchObject({ sub: 'bob' });
  const read = () => database.users.find('bob');
  expect(await Promise.all([1, 2, 3, 4].map(read))).toEqual(
    Array(4).fill(expect.objectContaining({ sub: 'bob' })),
  );
});

test('a verifier keeps its connections to a replica that keeps up', async () => {
  const verifier = await openVerifier(mysql.b.url);
  const { token } = await issue('alice');
  await mysql.replicated();
  expect(await verdict(verifier, token)).toBe('accepted');
  await stores.json('users', 'disable', 'alice');
  await verdictsUntil('ERR_USER_DISABLED', verifier, token);
  expect({ warnings, state: verifier.health().database.state }).toEqual({ warnings: [], state: 'up' });
});

test('changes on the new primary apply to tokens and issuers, and no unknown key is refused', async () => {
  const revoked = await issue('alice');
  await mysql.replicated();
  // Read-only before they first check, so only the marks in Redis show that this is no longer the primary.
  await mysql.a.query('SET GLOBAL read_only = ON');
  const verifier = await openVerifier();
  const issuer = await openStoreIssuer(await contextOver(proxy.url));
  expect(await verdict(verifier, revoked.token)).toBe('accepted');
  // Without its audit row, no token is returned.
  await expect(issuer.issue({ sub: 'alice' })).rejects.toMatchObject({ code: 'ERR_MYSQL_READ_ONLY' });

  await mysql.switchOver();
  proxy.switchTo(mysql.b.url);
  await stores.json('keys', 'compromise', revoked.kid, '--reason', 'leaked', '--yes');
  const issued = await issuer.issue({ sub: 'alice' });
  expect(issued.kid).not.toBe(revoked.kid);
  expect(await verdictsUntil('accepted', verifier, issued.token)).not.toContain('ERR_KEY_UNKNOWN');
  await revoked.bringBack();
  expect(await verdict(verifier, revoked.token)).toBe('ERR_KEY_NOT_TRUSTED');
  expect(warnings).toContainEqual(expect.stringContaining('Reopening all connections to it.'));
});

test('a verifier that starts on an old primary accepts nothing before this server has reached a mark, and finds the new primary', async () => {
  const { token, bringBack } = await issue('alice');
  await mysql.replicated();
  await mysql.a.query('SET GLOBAL read_only = ON');
  await stores.redis?.client.del(keyspace(String(stores.env.JWTCTL_REDIS_PREFIX)).marks.key);
  const verifier = await openVerifier();
  expect(await verdict(verifier, token)).toBe('unavailable');
  const { isReady, database } = verifier.health();
  expect({ isReady, ...database }).toMatchObject({
    ...{ isReady: false, state: 'down', code: 'ERR_DATABASE_UNCONFIRMED' },
  });
  // It has reconnected once, and again reached the old primary.
  const opened = proxy.opened();
  await expect.poll(() => proxy.opened(), { timeout: 5_000 }).toBeGreaterThanOrEqual(opened + 3);

  await mysql.switchOver();
  proxy.switchTo(mysql.b.url);
  // Writes a mark that the old primary cannot reach.
  await stores.json('token', 'revoke', token);
  await bringBack();
  expect(await verdictsUntil('ERR_TOKEN_REVOKED', verifier, token)).not.toContain('accepted');
  expect(verifier.health().isReady).toBe(true);
});

test('a verifier on a replica relies on it as soon as Redis has a mark', async () => {
  const { token } = await issue('alice');
  await mysql.replicated();
  await stores.redis?.client.del(keyspace(String(stores.env.JWTCTL_REDIS_PREFIX)).marks.key);
  const verifier = await openVerifier(mysql.b.url);
  expect(await verdict(verifier, token)).toBe('unavailable');
  await stores.json('keys', 'generate');
  await verdictsUntil('accepted', verifier, token);
});

test('a verifier starts with a writable server and an empty Redis', async () => {
  const { token } = await issue('alice');
  await stores.redis?.client.del(keyspace(String(stores.env.JWTCTL_REDIS_PREFIX)).marks.key);
  expect(await verdict(await openVerifier(), token)).toBe('accepted');
});
