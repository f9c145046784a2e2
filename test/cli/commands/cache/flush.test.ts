import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RedisTokenRegistry } from '../../../../src/adapters/redis/token-registry.js';
import { SqliteTokenRegistry } from '../../../../src/adapters/sql/registry/token-registry.js';
import { setOf } from '../../../support/planted-entries.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';
import { runAtTerminal } from '../../../support/terminal.js';

/** Stands in for the prompts: the answers, and the questions that were asked. */
const person = vi.hoisted(() => ({ agrees: false, types: '', wasAsked: [] as string[] }));
vi.mock('../../../../src/adapters/prompt/inquirer-prompt.js', () => ({
  inquirerPrompt: {
    confirm: async (question: string) => {
      person.wasAsked.push(question);
      return person.agrees;
    },
    typeBack: async (question: string) => {
      person.wasAsked.push(question);
      return person.types;
    },
  },
}));

describe.each(BACKENDS)('cache flush, on %s', (backend) => {
  let stores: Stores;
  beforeEach(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'k1');
    for (const sub of ['alice', 'alice', 'bob'])
      await stores.json('token', 'issue', '--sub', sub, '--create-user');
    Object.assign(person, { agrees: false, types: '', wasAsked: [] });
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await stores?.close();
  });

  /** Counts the walks through the whole registry. */
  function walks() {
    const registry = backend === 'SQLite' ? SqliteTokenRegistry : RedisTokenRegistry;
    return {
      removing: vi.spyOn(registry.prototype, 'removeEverywhere'),
      scanning: vi.spyOn(registry.prototype, 'scan'),
    };
  }

  test('shows the counts by node and key before it asks for confirmation', async () => {
    const before = await stores.content();
    const declined = await runAtTerminal(stores, 'cache', 'flush', '--kid', 'k1');
    expect(declined.exitCode).toBe(130);
    expect(declined.stdout).toBe('');
    expect(declined.stderr).toMatch(/Would remove 3 entries of 2 subjects/);
    expect(declined.stderr).toMatch(/k1 +active +3/);
    expect(declined.stderr).toMatch(/all +3 *\n/);
    expect(declined.stderr).not.toMatch(/removed/i);
    expect(person.wasAsked).toEqual([expect.stringContaining('Remove 3 entries of 2 subjects?')]);
    expect(await stores.content()).toBe(before);

    person.agrees = true;
    const agreed = await runAtTerminal(stores, 'cache', 'flush', '--kid', 'k1', '--backup', 'm', '--json');
    expect(agreed.json()).toMatchObject({ matched: 3, removed: 3, backup: join(stores.home, 'm') });
    expect(agreed.stderr).toMatch(/k1 +active +3/);
  });

  test('asks for the prefix when flushing everything', async () => {
    for (const typed of ['', 'yes', `${stores.env.JWTCTL_REDIS_PREFIX ?? 'jwt'} `]) {
      person.types = typed;
      expect((await runAtTerminal(stores, 'cache', 'flush', '--all')).exitCode).toBe(130);
    }
    person.types = stores.env.JWTCTL_REDIS_PREFIX ?? 'jwt';
    const { exitCode, json } = await runAtTerminal(stores, 'cache', 'flush', '--all', '--json');
    expect([exitCode, json().removed]).toEqual([0, 3]);
    expect(person.wasAsked.at(-1)).toContain(`Type ${person.types} to confirm`);
  });

  test('does not ask and creates no file if nothing matches', async () => {
    const { exitCode, json } = await runAtTerminal(
      ...[stores, 'cache', 'flush', '--sub', 'zoe', '--backup', 'm', '--json'],
    );
    expect([exitCode, json()]).toEqual([
      0,
      expect.objectContaining({ matched: 0, removed: 0, backup: null }),
    ]);
    expect(person.wasAsked).toEqual([]);
    expect(existsSync(join(stores.home, 'm'))).toBe(false);
  });

  test('says that the backup is empty if nothing matches', async () => {
    const words = ['cache', 'flush', '--sub', 'zoe', '--yes', '--backup', 'empty'];
    const { stdout } = await stores.run(...words);
    // The path's length decides where the line breaks.
    expect(stdout.replaceAll(/\s+/g, ' ')).toMatch(
      /No entries matched, so the backup .*empty has no entries/,
    );
  });

  test('walks the registry once without a question, and not at all if it cannot ask', async () => {
    const { removing, scanning } = walks();
    const times = () => [removing.mock.calls.length, scanning.mock.calls.length];
    expect((await stores.run('cache', 'flush', '--kid', 'k1')).exitCode).toBe(2);
    expect(times()).toEqual([0, 0]);
    await stores.json('cache', 'flush', '--kid', 'k1', '-n');
    expect(times()).toEqual([0, 1]);
    await stores.json('cache', 'flush', '--sub', 'bob', '--yes', '--backup', 'one');
    expect(times()).toEqual([0, 2]);
    expect(
      await stores.json('cache', 'flush', '--issued-before', String(stores.clock.now()), '--yes'),
    ).toMatchObject({
      ...{ matched: 2, removed: 2, subjects: 1, byKid: [{ kid: 'k1', state: 'active', entries: 2 }] },
    });
    expect(times()).toEqual([1, 2]);
    await stores.json('cache', 'flush', '--all', '--yes', '--backup', 'two');
    // A backup holds no sessions, so they are removed by a walk of their own.
    expect(times()).toEqual([2, 3]);
  });

  test('refuses a missing or contradictory selection', async () => {
    for (const words of [
      [],
      ['--all', '--sub', 'alice'],
      ['--all', '--kid', 'k1'],
      ['--all', '--issued-before', '1'],
    ]) {
      const { exitCode, error } = await stores.run('cache', 'flush', ...words, '--yes', '--json');
      expect([words, exitCode, error().code]).toEqual([words, 2, 'ERR_FLAG_COMBINATION']);
    }
    const unknown = await stores.run('cache', 'flush', '--kid', 'k9', '--yes', '--json');
    expect([unknown.exitCode, unknown.error().code]).toEqual([3, 'ERR_KEY_UNKNOWN']);
    expect((await stores.json('cache', 'inspect')).entries).toBe(3);
  });
});

test('a flush neither counts, backs up, nor changes foreign keys in the same cluster', async () => {
  const stores = await openStores('MariaDB and a Redis Cluster');
  const { redis } = stores;
  if (redis === null) throw new Error('These stores have no Redis.');
  const { client, prefix } = redis;
  const foreign: string[] = [];
  try {
    await stores.json('keys', 'generate', '--kid', 'k1');
    await stores.json('token', 'issue', '--sub', 'alice', '--create-user', '--meta', 'device=phone');
    const now = stores.clock.now();
    const member = `1.${now.toString(36)}.j`;
    const exp = String(now + 3_600);
    const set = async (key: string, write: (key: string) => Promise<unknown>) => {
      await write(key);
      foreign.push(key);
    };
    for (const key of [prefix, `${prefix}:`, `${prefix}:alice`, `${prefix}:{alice}x`, `${prefix}:{string}`]) {
      await set(key, (name) => client.set(name, 'theirs'));
    }
    for (const key of [
      ...[
        `${prefix}x:{alice}`,
        `x${prefix}:{alice}`,
        `${prefix}:{%61lice}`,
        `${prefix}:{}`,
        `${prefix}:{a b}`,
      ],
      ...[`${prefix}:{alice}:more`, `${prefix}:{{alice}}`],
    ]) {
      await set(key, (name) => client.zadd(name, exp, member));
    }
    await set(`${prefix}:{list}`, (name) => client.rpush(name, member));
    await set(`${prefix}:{hash}`, (name) => client.hset(name, member, exp));
    await set(`${prefix}:{set}`, (name) => client.sadd(name, member));
    // A set with one of our names, but without entries.
    await set(`${prefix}:{odd}`, (name) => client.zadd(name, exp, 'theirs'));
    const content = () =>
      Promise.all(foreign.map(async (key) => [key, await client.type(key), await client.dump(key)]));
    const before = await content();

    expect(await stores.json('cache', 'flush', '--all', '-n')).toMatchObject({ matched: 1, subjects: 1 });
    expect(await stores.json('cache', 'snapshot', 's')).toMatchObject({ entries: 1, subjects: 1 });
    const withBackup = ['--backup', 'm', '--yes'];
    expect(await stores.json('cache', 'flush', '--all', ...withBackup)).toMatchObject({
      matched: 1,
      removed: 1,
    });
    expect(await content()).toEqual(before);
    expect(await stores.json('cache', 'restore', 'm')).toMatchObject({ entries: 1, restored: 1 });
    expect(await stores.json('cache', 'flush', '--all', '--yes')).toMatchObject({ matched: 1, removed: 1 });
    expect(await stores.json('cache', 'flush', '--sub', 'odd', '--yes')).toMatchObject({ matched: 0 });
    expect(await content()).toEqual(before);
  } finally {
    for (const key of foreign) await client.del(key);
    await stores.close();
  }
});

test('restore skips and reports an entry whose set was replaced by a foreign key', async () => {
  const stores = await openStores('MariaDB and a Redis Cluster');
  const { redis } = stores;
  if (redis === null) throw new Error('These stores have no Redis.');
  try {
    await stores.json('keys', 'generate', '--kid', 'k1');
    for (const sub of ['alice', 'bob']) await stores.json('token', 'issue', '--sub', sub, '--create-user');
    await stores.json('cache', 'flush', '--all', '--backup', 'm', '--yes');
    await redis.client.set(setOf(stores, 'alice'), 'theirs');
    const { exitCode, json } = await stores.run('cache', 'restore', 'm', '--json');
    expect([exitCode, json()]).toEqual([
      5,
      expect.objectContaining({
        entries: 2,
        restored: 1,
        complete: false,
        missed: [expect.stringContaining('{alice}')],
      }),
    ]);
    expect(await redis.client.get(setOf(stores, 'alice'))).toBe('theirs');
  } finally {
    await redis.client.del(setOf(stores, 'alice'));
    await stores.close();
  }
});
