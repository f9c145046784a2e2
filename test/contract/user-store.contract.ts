import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sqlDatabase } from '../../src/adapters/sql/stores/database.js';
import type { UserStatus, UserStore } from '../../src/domain/ports/index.js';
import { collect } from '../support/collect.js';
import { createMigrated, type SqlDatabaseUnderTest, type SqlEngine } from '../support/sql-engines.js';

const AT = 1_700_000_000;

/** Subjects that some collation, type affinity, or normalization treats as equal. */
const LOOKALIKES = [
  ...['alice', 'Alice', 'ALICE', 'alice ', ' alice', 'alice\u00a0', 'alic\u00e9', 'alice\u0301', 'alic'],
  ...['e', '\u00e9', 'e\u0301', 'E', 'ss', '\u00df', 'i', 'I', '\u0131', '\u0130', 'ａ', 'a'],
  ...['7', '007', '7.0', '1e3', '1000', '0x7', '-7', 'null', 'true'],
  ...['😀', '😁', '👨‍👩‍👧‍👦', '中', '*', '%', '_', '\\', "'", '"', '`', '--', '@alice', ';', '{}', '~'],
];

export function userStoreContract(engine: SqlEngine): void {
  describe(`user store: ${engine.name}`, () => {
    let opened: SqlDatabaseUnderTest;
    let users: UserStore;
    let now = AT;

    beforeEach(async () => {
      opened = await createMigrated(engine);
      now = AT;
      users = sqlDatabase(opened.db, { now: () => now }).users;
    });
    afterEach(() => opened.close());

    async function add(...subs: string[]): Promise<void> {
      for (const sub of subs) await users.add({ sub, name: null, at: AT });
    }

    async function listed(): Promise<string[]> {
      return (await collect(users.list())).map(({ sub }) => sub);
    }

    describe('add', () => {
      test('adds an enabled user with version 1', async () => {
        const user = {
          sub: 'alice',
          name: 'Alice Liddell',
          status: 'enabled',
          version: 1,
          createdAt: AT,
          updatedAt: AT,
        };
        expect(await users.add({ sub: 'alice', name: 'Alice Liddell', at: AT })).toEqual(user);
        expect(await users.find('alice')).toEqual(user);
      });

      test('keeps a name in any script, and a null name', async () => {
        await users.add({ sub: 'a', name: '愛麗絲 😀 é', at: AT });
        await users.add({ sub: 'b', name: null, at: AT });
        expect((await users.find('a'))?.name).toBe('愛麗絲 😀 é');
        expect((await users.find('b'))?.name).toBeNull();
      });

      test('returns null and changes nothing if the subject exists', async () => {
        await users.add({ sub: 'alice', name: 'first', at: AT });
        expect(await users.add({ sub: 'alice', name: 'second', at: AT + 1 })).toBeNull();
        expect(await users.find('alice')).toMatchObject({ name: 'first', createdAt: AT });
      });

      test('leaves the transaction usable if the subject exists', async () => {
        await add('alice');
        await sqlDatabase(opened.db).transaction(async (stores) => {
          expect(await stores.users.add({ sub: 'alice', name: null, at: AT })).toBeNull();
          expect(await stores.users.add({ sub: 'bob', name: null, at: AT })).not.toBeNull();
        });
        expect(await listed()).toEqual(['alice', 'bob']);
      });

      test('addMany adds users as add does', async () => {
        const subs = Array.from({ length: 500 }, (_, index) => `user-${index}`);
        const named = subs.map((sub, index) => ({ sub, name: index === 0 ? '愛麗絲 😀' : null }));
        expect(await users.addMany(named, AT)).toBe(true);
        expect(await listed()).toEqual([...subs].sort());
        const made = { status: 'enabled', version: 1, createdAt: AT, updatedAt: AT };
        expect(await users.find('user-0')).toEqual({ sub: 'user-0', name: '愛麗絲 😀', ...made });
        expect(await users.find('user-499')).toEqual({ sub: 'user-499', name: null, ...made });
      });

      test('addMany adds none if one exists, and leaves the transaction usable', async () => {
        await users.add({ sub: 'bob', name: 'first', at: AT });
        await sqlDatabase(opened.db).transaction(async (stores) => {
          const many = ['alice', 'bob', 'carol'].map((sub) => ({ sub, name: 'second' }));
          expect(await stores.users.addMany(many, AT + 1)).toBe(false);
          expect(await stores.users.findMany(['alice', 'bob', 'carol'])).toEqual(
            new Map([['bob', expect.objectContaining({ name: 'first', createdAt: AT })]]),
          );
          expect(await stores.users.addMany([{ sub: 'dave', name: null }], AT)).toBe(true);
        });
        expect(await listed()).toEqual(['bob', 'dave']);
      });

      test('adds a subject once in 16 concurrent calls', async () => {
        const added = await Promise.all(
          Array.from({ length: 16 }, (_, index) => users.add({ sub: 'alice', name: `${index}`, at: AT })),
        );
        const [winner, ...others] = added.filter((user) => user !== null);
        expect(others).toEqual([]);
        expect(await users.find('alice')).toEqual(winner);
      });
    });

    describe('subjects', () => {
      test('are compared byte for byte', async () => {
        for (const [index, sub] of LOOKALIKES.entries()) {
          const added = await users.add({ sub, name: `number ${index}`, at: AT });
          expect(added, JSON.stringify(sub)).toMatchObject({ sub, name: `number ${index}` });
        }
        for (const [index, sub] of LOOKALIKES.entries()) {
          expect(await users.find(sub), JSON.stringify(sub)).toMatchObject({ sub, name: `number ${index}` });
        }
        expect((await listed()).sort()).toEqual([...LOOKALIKES].sort());
      });

      test('that only look like an existing one are not found, changed, or removed', async () => {
        await add('alice');
        for (const other of [
          'Alice',
          'alice ',
          ' alice',
          'alicé',
          'alice\u0301',
          'alice\u00a0',
          'alic',
          '%',
          '',
        ]) {
          const name = JSON.stringify(other);
          expect(await users.find(other), name).toBeNull();
          expect(await users.setStatus(other, 'disabled', AT), name).toBeNull();
          expect(await users.remove(other), name).toBeNull();
        }
        expect(await users.find('alice')).toMatchObject({ status: 'enabled', version: 1 });
      });

      test.each([
        { name: 'of ASCII', sub: 'x'.repeat(255) },
        { name: 'of two-byte characters', sub: `${'é'.repeat(127)}x` },
        { name: 'of emoji', sub: `${'😀'.repeat(63)}abc` },
      ])('may be 255 bytes long $name', async ({ sub }) => {
        expect(Buffer.byteLength(sub)).toBe(255);
        await add(sub);
        expect((await users.find(sub))?.sub).toBe(sub);
        expect(await users.find(sub.slice(0, -1))).toBeNull();
      });
    });

    describe('findMany', () => {
      test('finds only existing users', async () => {
        await add('alice', 'bob', 'carol');
        await users.setStatus('bob', 'disabled', AT + 1);
        const found = await users.findMany(['bob', 'unknown', 'alice', 'alice']);
        expect(found).toEqual(
          new Map([
            ['alice', await users.find('alice')],
            ['bob', await users.find('bob')],
          ]),
        );
        expect(found.get('bob')).toMatchObject({ status: 'disabled', version: 2 });
        expect(await users.findMany([])).toEqual(new Map());
      });

      test('compares byte for byte', async () => {
        await add('alice', '7', '\u00e9');
        expect(await users.findMany(LOOKALIKES)).toEqual(await everyOneOf(['alice', '7', '\u00e9']));
        await add(...LOOKALIKES.filter((sub) => !['alice', '7', '\u00e9'].includes(sub)));
        expect(await users.findMany(LOOKALIKES)).toEqual(await everyOneOf(LOOKALIKES));
      });

      test('finds all of more subjects than one statement takes', async () => {
        const unknown = Array.from({ length: 40_000 }, (_, index) => `unknown-${index}`);
        const subs = Array.from({ length: 2_345 }, (_, index) => `user-${index}`);
        for (let from = 0; from < subs.length; from += 500) {
          const many = subs.slice(from, from + 500).map((sub) => ({ sub, name: null }));
          await users.addMany(many, AT);
        }
        expect([...(await users.findMany([...unknown, ...subs])).keys()].sort()).toEqual(subs.sort());
      });

      async function everyOneOf(subs: readonly string[]) {
        const found = new Map();
        for (const sub of subs) found.set(sub, await users.find(sub));
        return found;
      }
    });

    describe('list', () => {
      test('is sorted by bytes', async () => {
        await add(...LOOKALIKES);
        const inOrder = [...LOOKALIKES].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(await listed()).toEqual(inOrder);
      });

      test('begins with a subject, in the order of bytes', async () => {
        await add('al', 'alice', 'Alice', 'b', 'éa');
        const from = async (first: string) =>
          (await collect(users.list(undefined, first))).map(({ sub }) => sub);
        expect(await from('al')).toEqual(['al', 'alice', 'b', 'éa']);
        expect(await from('ali')).toEqual(['alice', 'b', 'éa']);
        expect(await from('é')).toEqual(['éa']);
        expect(await from('z')).toEqual(['éa']);
      });

      test('searches subjects and names, as text and without regard to case', async () => {
        await add('50%', 'a_b', 'axb', 'Émile');
        await users.add({ sub: 'carol', name: 'Carol A_Z', at: AT });
        const found = async (search: string) => (await collect(users.list(search))).map(({ sub }) => sub);
        expect(await found('%')).toEqual(['50%']);
        expect(await found('A_')).toEqual(['a_b', 'carol']);
        expect(await found('émi')).toEqual(['Émile']);
        expect(await found('!')).toEqual([]);
      });

      test.each([0, 1, 999, 1000, 1001, 2000, 2345])('shows each of %i users once', async (count) => {
        const subs = Array.from({ length: count }, (_, index) => `user-${String(index).padStart(6, '0')}`);
        for (let from = 0; from < count; from += 500) {
          await opened.db
            .insertInto('users')
            .values(subs.slice(from, from + 500).map(row))
            .execute();
        }
        expect(await listed()).toEqual(subs);
      });
    });

    describe('setStatus', () => {
      test('to another status raises the version and sets the time', async () => {
        await add('alice', 'bob');
        expect(await users.setStatus('alice', 'disabled', AT + 5)).toEqual({
          changed: true,
          user: {
            sub: 'alice',
            name: null,
            status: 'disabled',
            version: 2,
            createdAt: AT,
            updatedAt: AT + 5,
          },
        });
        expect(await users.setStatus('alice', 'enabled', AT + 6)).toMatchObject({
          changed: true,
          user: { status: 'enabled', version: 3 },
        });
        expect(await users.find('bob')).toMatchObject({ status: 'enabled', version: 1, updatedAt: AT });
      });

      test('to the same status changes nothing', async () => {
        await add('alice');
        const before = await users.find('alice');
        expect(await users.setStatus('alice', 'enabled', AT + 5)).toEqual({ changed: false, user: before });
        expect(await users.find('alice')).toEqual(before);
      });

      test('returns null for an unknown user', async () => {
        expect(await users.setStatus('alice', 'disabled', AT)).toBeNull();
      });
    });

    describe("a status that is not exactly 'enabled'", () => {
      const OTHERS = ['suspended', 'Disabled', 'Enabled', 'ENABLED', 'enabled ', ' enabled', '', '1'];
      const planted = async () => {
        const rows = OTHERS.map((status, index) => ({ ...row(`u${index}`), status: status as UserStatus }));
        await opened.db.insertInto('users').values(rows).execute();
        return rows.map(({ sub }) => sub);
      };

      test('is read as disabled by every method', async () => {
        const subs = await planted();
        for (const sub of subs) expect(await users.find(sub)).toMatchObject({ sub, status: 'disabled' });
        const statuses = [...(await users.findMany(subs)).values(), ...(await collect(users.list()))].map(
          ({ status }) => status,
        );
        expect(statuses).toEqual(Array(2 * OTHERS.length).fill('disabled'));
      });

      test('can be changed like any other', async () => {
        const [suspended = ''] = await planted();
        expect(await users.setStatus(suspended, 'enabled', AT + 1)).toMatchObject({
          changed: true,
          user: { status: 'enabled', version: 2 },
        });
      });
    });

    test('setVersion changes only the version of the given users', async () => {
      await add('alice', 'bob', 'carol');
      await users.setVersion(['alice', 'carol', 'unknown'], 8);
      expect(await users.find('carol')).toMatchObject({ version: 8 });
      expect(await users.find('alice')).toMatchObject({ version: 8, status: 'enabled', updatedAt: AT });
      expect(await users.find('bob')).toMatchObject({ version: 1 });
      expect(await users.setStatus('alice', 'disabled', AT)).toMatchObject({ user: { version: 9 } });
    });

    describe('a user disabled until a time', () => {
      const UNTIL = AT + 60;
      const status = async () => {
        const one = await users.find('alice');
        expect((await users.findMany(['alice'])).get('alice')).toEqual(one);
        expect(await collect(users.list())).toEqual([one]);
        return [one?.status, one?.disabledUntil, one?.version];
      };

      test('is enabled from then on, with the same version', async () => {
        await add('alice');
        expect(await users.setStatus('alice', 'disabled', AT, UNTIL)).toMatchObject({
          changed: true,
          user: { status: 'disabled', disabledUntil: UNTIL, version: 2 },
        });
        now = UNTIL - 1;
        expect(await status()).toEqual(['disabled', UNTIL, 2]);
        now = UNTIL;
        expect(await status()).toEqual(['enabled', undefined, 2]);
        expect(await users.setStatus('alice', 'disabled', now)).toMatchObject({
          changed: true,
          user: { status: 'disabled', version: 3 },
        });
        now = UNTIL + 60;
        expect(await status()).toEqual(['disabled', undefined, 3]);
      });

      test('can be enabled once the time is over, for hosts whose clocks have not reached it', async () => {
        await add('alice');
        await users.setStatus('alice', 'disabled', AT, UNTIL);
        now = UNTIL;
        expect(await users.setStatus('alice', 'enabled', now)).toMatchObject({ changed: true });
        expect(await users.setStatus('alice', 'enabled', now)).toMatchObject({ changed: false });
        now = UNTIL - 1;
        expect(await status()).toEqual(['enabled', undefined, 3]);
      });

      test('restoreStatus writes the end and the version as they are given', async () => {
        await add('alice');
        await users.setStatus('alice', 'disabled', AT);
        await users.restoreStatus('alice', { status: 'disabled', disabledUntil: UNTIL, version: 7 }, AT + 1);
        expect(await status()).toEqual(['disabled', UNTIL, 7]);
        expect((await users.find('alice'))?.updatedAt).toBe(AT + 1);
        await users.restoreStatus('alice', { status: 'enabled', version: 8 }, AT + 1);
        expect(await status()).toEqual(['enabled', undefined, 8]);
      });

      test('stays disabled for the longest time, until it is enabled', async () => {
        await add('alice');
        const set = async (...change: ['enabled' | 'disabled', (number | null)?]) => {
          const [to, until] = change;
          return (await users.setStatus('alice', to, AT, until))?.changed;
        };
        expect([await set('disabled', UNTIL), await status()]).toEqual([true, ['disabled', UNTIL, 2]]);
        expect([await set('disabled', UNTIL), await status()]).toEqual([false, ['disabled', UNTIL, 2]]);
        expect([await set('disabled', UNTIL + 1), await status()]).toEqual([
          true,
          ['disabled', UNTIL + 1, 3],
        ]);
        expect([await set('disabled', null), await status()]).toEqual([true, ['disabled', undefined, 4]]);
        expect([await set('disabled', UNTIL), await status()]).toEqual([false, ['disabled', undefined, 4]]);
        expect([await set('enabled'), await status()]).toEqual([true, ['enabled', undefined, 5]]);
        expect([await set('disabled', UNTIL), await status()]).toEqual([true, ['disabled', UNTIL, 6]]);
        expect([await set('disabled', UNTIL - 1), await status()]).toEqual([false, ['disabled', UNTIL, 6]]);
      });

      test('can be enabled by a host that is ahead, where the time is over', async () => {
        await add('alice');
        await users.setStatus('alice', 'disabled', AT, UNTIL);
        now = UNTIL - 1;
        expect(await users.setStatus('alice', 'enabled', UNTIL + 3)).toMatchObject({ changed: true });
        expect(await status()).toEqual(['enabled', undefined, 3]);
      });

      test('stays disabled if another program writes another status', async () => {
        await add('alice');
        await users.setStatus('alice', 'disabled', AT, UNTIL);
        await opened.db
          .updateTable('users')
          .set({ status: 'suspended' as UserStatus })
          .execute();
        now = UNTIL;
        expect(await status()).toEqual(['disabled', undefined, 2]);
        expect(await users.setStatus('alice', 'disabled', now, now + 60)).toMatchObject({ changed: false });
        expect(await users.setStatus('alice', 'enabled', now)).toMatchObject({ changed: true });
        expect(await status()).toEqual(['enabled', undefined, 3]);
      });
    });

    test('setName changes the name and the time, and nothing for the same name or an unknown user', async () => {
      await add('alice', 'bob');
      const named = { ...(await users.find('alice')), name: '愛麗絲', updatedAt: AT + 1 };
      expect(await users.setName('alice', '愛麗絲', AT + 1)).toEqual({ user: named, changed: true });
      expect(await users.setName('alice', '愛麗絲', AT + 2)).toEqual({ user: named, changed: false });
      expect(await users.setName('alice', null, AT + 3)).toMatchObject({
        user: { name: null },
        changed: true,
      });
      expect(await users.setName('carol', 'Carol', AT)).toBeNull();
      expect(await users.find('bob')).toMatchObject({ name: null, updatedAt: AT });
    });

    describe('remove', () => {
      test('returns the last state of the user', async () => {
        await add('alice', 'bob');
        await users.setStatus('alice', 'disabled', AT + 1);
        const last = await users.find('alice');
        expect(last?.version).toBe(2);
        expect(await users.remove('alice')).toEqual(last);
        expect(await users.find('alice')).toBeNull();
        expect(await listed()).toEqual(['bob']);
      });

      test('returns null for an unknown user', async () => {
        expect(await users.remove('alice')).toBeNull();
      });

      test('removes a user once in 16 concurrent calls', async () => {
        await add('alice');
        const removed = await Promise.all(Array.from({ length: 16 }, () => users.remove('alice')));
        expect(removed.filter((user) => user !== null)).toHaveLength(1);
      });

      test('during concurrent status changes returns the last version', async () => {
        await add('alice');
        const database = sqlDatabase(opened.db);
        const [removed, ...changes] = await Promise.all([
          database.transaction((stores) => stores.users.remove('alice')),
          ...Array.from({ length: 8 }, (_, index) =>
            database.transaction((stores) =>
              stores.users.setStatus('alice', index % 2 === 0 ? 'disabled' : 'enabled', AT),
            ),
          ),
        ]);
        const versions = changes.map((change) => change?.user.version ?? 1);
        expect(removed?.version).toBe(Math.max(1, ...versions));
      });
    });
  });
}

function row(sub: string) {
  return {
    sub,
    name: null,
    status: 'enabled' as const,
    disabled_until: null,
    version: 1,
    created_at: AT,
    updated_at: AT,
  };
}
