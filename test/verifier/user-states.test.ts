import { beforeEach, expect, test } from 'vitest';
import type { KnownUserStatus, User } from '../../src/domain/ports/index.js';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import { UserStates } from '../../src/verifier/user-states.js';

const NOW = 1_700_000_000;

let users: Map<string, User>;
let queries: Array<readonly string[]>;
let cached: Array<{ sub: string; user: KnownUserStatus }>;
/** Runs before the directory answers. */
let answer: () => Promise<void>;
/** Runs when a status is cached. */
let cache: () => Promise<number | null>;
let states: UserStates;

beforeEach(() => {
  users = new Map();
  queries = [];
  cached = [];
  answer = async () => {};
  cache = async () => null;
  states = new UserStates({
    users: {
      findMany: async (subs) => {
        queries.push([...subs]);
        const found = new Map([...users].filter(([sub]) => subs.includes(sub)));
        await answer();
        return found;
      },
    },
    registry: {
      setUserStatus: (sub, user) => {
        cached.push({ sub, user });
        return cache();
      },
    },
    policy: { statusTtlSeconds: 60, clockToleranceSeconds: 5, logsUserChanges: true },
    rememberedUsers: 100,
  });
  put('alice');
});

function put(sub: string, parts: Partial<User> = {}): void {
  users.set(sub, { sub, name: null, status: 'enabled', version: 1, createdAt: 1, updatedAt: 1, ...parts });
}

test('combines lookups in one turn into one query without duplicates', async () => {
  put('bob');
  const found = ['alice', 'bob', 'alice', 'carol'].map((sub) => states.find(sub, null, NOW));
  expect(await Promise.all(found)).toMatchObject([{ sub: 'alice' }, { sub: 'bob' }, { sub: 'alice' }, null]);
  expect(queries).toEqual([['alice', 'bob', 'carol']]);
  expect(cached.map(({ sub }) => sub)).toEqual(['alice', 'bob']);
});

test('does not wait for a hung registry, and still returns new answers', async () => {
  cache = () => new Promise(() => {});
  expect(await states.find('alice', null, NOW)).toMatchObject({ status: 'enabled' });
  put('alice', { status: 'disabled', version: 2 });
  expect(await states.find('alice', null, NOW + 3)).toMatchObject({ status: 'disabled', version: 2 });
  expect(queries).toHaveLength(2);
});

test.each([
  {
    how: 'that accepts no writes',
    failing: () => Promise.reject(new JwtctlError('ERR_REDIS_UNREACHABLE', 'A.')),
  },
  { how: 'with a defect', failing: () => Promise.reject(new Error('a defect')) },
  {
    how: 'that throws synchronously',
    failing: () => {
      throw new Error('a defect');
    },
  },
])('ignores a registry $how', async ({ failing }) => {
  cache = failing;
  expect(await states.find('alice', null, NOW)).toMatchObject({ status: 'enabled' });
  await new Promise((resolve) => setImmediate(resolve));
  expect(cached).toHaveLength(1);
});

test('asks again if the registry has a higher version, and replaces one that is still higher', async () => {
  const above = { status: 'enabled', version: 99, until: NOW + 60 } as const;
  const replaced: unknown[] = [];
  states = new UserStates({
    users: { findMany: async (subs) => new Map(subs.map((sub) => [sub, users.get(sub) as User])) },
    registry: {
      setUserStatus: async (_sub, user, _now, replaces = null) => {
        replaced.push([user.status, user.version, replaces]);
        // The user is disabled in between.
        put('alice', { status: 'disabled', version: 2 });
        return replaces === above.version ? null : above.version;
      },
    },
    policy: { statusTtlSeconds: 60, clockToleranceSeconds: 5, logsUserChanges: true },
    rememberedUsers: 100,
  });
  await states.find('alice', above, NOW);
  await expect.poll(() => replaced.length).toBe(2);
  expect(replaced).toEqual([
    ['enabled', 1, null],
    ['disabled', 2, 99],
  ]);
});

test('remembers the answers for the most recently used users', async () => {
  await states.find('alice', null, NOW);
  expect(states.lastAnswer('alice')).toEqual({ status: 'enabled', version: 1, until: NOW + 60 });
  for (let index = 0; index < 1_000; index++) {
    put(`user-${index}`);
    await states.find(`user-${index}`, null, NOW);
    if (index < 500) expect(states.lastAnswer('alice')).not.toBeNull();
  }
  expect(states.lastAnswer('alice')).toBeNull();
  expect(states.lastAnswer('user-999')).not.toBeNull();
  users.clear();
  await states.find('user-999', null, NOW);
  expect(states.lastAnswer('user-999')).toBeNull();
});

test('caches a status that is missing, different, or expired in the registry', async () => {
  const known: KnownUserStatus = { status: 'enabled', version: 1, until: NOW + 1 };
  await states.find('alice', known, NOW);
  expect(cached).toEqual([]);
  await states.find('alice', known, NOW + 1);
  await states.find('alice', { ...known, version: 0 }, NOW);
  await states.find('alice', { ...known, status: 'disabled' }, NOW);
  expect(cached.map(({ user }) => user.until - NOW)).toEqual([61, 60, 60]);
});

test('asks the directory again after a failure', async () => {
  const down = new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is down.');
  answer = () => Promise.reject(down);
  const [one, other] = [states.find('alice', null, NOW), states.find('alice', null, NOW)];
  await expect(one).rejects.toBe(down);
  await expect(other).rejects.toBe(down);
  answer = async () => {};
  expect(await states.find('alice', null, NOW)).toMatchObject({ sub: 'alice' });
});

test('refuses a lookup if 10,000 are waiting', async () => {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  answer = () => released;
  const waiting = Array.from({ length: 10_000 }, () => states.find('alice', null, NOW));
  await expect(states.find('bob', null, NOW)).rejects.toMatchObject({
    kind: 'unavailable',
    code: 'ERR_VERIFIER_OVERLOADED',
  });
  release();
  expect((await Promise.all(waiting)).every((user) => user?.sub === 'alice')).toBe(true);
  expect(await states.find('alice', null, NOW)).toMatchObject({ sub: 'alice' });
});
