import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sqlDatabase } from '../../src/adapters/sql/stores/database.js';
import type { Database, KeyTransition, NewSigningKey } from '../../src/domain/ports/index.js';
import { FOREIGN_KIDS } from '../support/foreign-kids.js';
import { createMigrated, type SqlDatabaseUnderTest, type SqlEngine } from '../support/sql-engines.js';

const AT = 1_700_000_000;
const SEALED = 'eyJhbGciOiJkaXIifQ..sealed-private-half';

export function keyStoreContract(engine: SqlEngine): void {
  describe(`key store: ${engine.name}`, () => {
    let opened: SqlDatabaseUnderTest;
    let database: Database;

    beforeEach(async () => {
      opened = await createMigrated(engine);
      database = sqlDatabase(opened.db);
    });
    afterEach(() => opened.close());

    async function insert(...keys: NewSigningKey[]): Promise<void> {
      for (const key of keys) expect(await database.keys.insert(key)).toBe('inserted');
    }

    async function apply(...transitions: KeyTransition[]): Promise<boolean> {
      const { revision } = await database.keys.snapshot();
      return database.transaction(({ keys }) => keys.apply(revision, transitions));
    }

    async function states(): Promise<Record<string, string>> {
      const { keys } = await database.keys.snapshot();
      return Object.fromEntries(keys.map((key) => [key.kid, key.state]));
    }

    describe('a kid', () => {
      test('is stored and compared byte for byte', async () => {
        await insert(...FOREIGN_KIDS.map((kid) => pending(kid, { publicKey: 'x' })));
        expect((await database.keys.snapshot()).keys.map(({ kid }) => kid)).toEqual(FOREIGN_KIDS);
        for (const kid of FOREIGN_KIDS) {
          expect((await database.keys.find(kid))?.id).toBe(idOf(kid));
          await apply({ kid, from: 'pending', to: 'retired', at: AT });
          expect(Object.values(await states()).filter((state) => state === 'retired')).toHaveLength(1);
          expect(await database.transaction(({ keys }) => keys.removeRetired(kid))).toBe(true);
        }
        for (const kid of ['K', 'k ', '7.0', 'e']) expect(await database.keys.find(kid)).toBeNull();
      });

      test('is stored and found in the security log byte for byte', async () => {
        const event = {
          type: 'kid_revoked',
          issuedBefore: AT,
          reason: null,
          at: AT,
          expiresAt: AT + 9,
        } as const;
        for (const kid of FOREIGN_KIDS)
          await database.transaction(({ securityLog }) => securityLog.append({ ...event, kid }));
        for (const kid of FOREIGN_KIDS) {
          const found = await database.securityLog.findConcerning({ sub: 'alice', kid, jti: null });
          expect(found.map((one) => one.kid)).toEqual([kid]);
        }
      });
    });

    describe('insert', () => {
      test('keeps every field of a key', async () => {
        await insert(active('k1', { maxTtlSeconds: 3600 }));
        const expected = {
          id: idOf('k1'),
          kid: 'k1',
          alg: 'RS256',
          bits: 2048,
          state: 'active',
          publicKey: 'the public key of k1',
          masterKeyId: 'mk-1',
          maxTtlSeconds: 3600,
          createdAt: AT,
          activatedAt: AT,
          retiringAt: null,
          verifyUntil: null,
          retiredAt: null,
          compromisedAt: null,
        };
        expect(await database.keys.find('k1')).toEqual(expected);
        expect((await database.keys.snapshot()).keys).toEqual([expected]);
      });

      test('adds a verify-only key without a private key', async () => {
        await insert(verifyOnly('k1', { verifyUntil: AT + 9 }), verifyOnly('k2'));
        const { keys } = await database.keys.snapshot();
        expect(keys).toMatchObject([
          { state: 'retiring', activatedAt: null, verifyUntil: AT + 9, masterKeyId: null },
          { state: 'retiring', activatedAt: null, verifyUntil: null, masterKeyId: null },
        ]);
        expect(await database.keys.findSealed('k1')).toBeNull();
      });

      test('adds no key with an existing kid', async () => {
        await insert(pending('k1'));
        expect(await database.keys.insert(pending('k1', { bits: 4096 }))).toBe('kid_exists');
        expect((await database.keys.find('k1'))?.bits).toBe(2048);
      });

      test('reports a second active key', async () => {
        await insert(active('k1'));
        expect(await database.keys.insert(active('k2'))).toBe('active_exists');
        expect(await states()).toEqual({ k1: 'active' });
      });

      test('reports an existing id', async () => {
        await insert(active('k1'));
        expect(await database.keys.insert(pending('k2', { id: idOf('k1') }))).toBe('id_exists');
        expect(await database.keys.insert(active('k2', { id: idOf('k1') }))).toBe('id_exists');
        expect(await states()).toEqual({ k1: 'active' });
      });

      test('gives the longest lifetime under any key, even one with an unknown state', async () => {
        expect((await database.keys.longestLifetimes()).tokenSeconds).toBeNull();
        await insert(pending('k1'));
        expect((await database.keys.longestLifetimes()).tokenSeconds).toBeNull();
        await insert(active('k2', { maxTtlSeconds: 3600 }), pending('k3', { maxTtlSeconds: 900 }));
        await opened.db
          .updateTable('keystore')
          .set({ state: 'paused' as 'active' })
          .where('kid', '=', 'k2')
          .execute();
        expect((await database.keys.longestLifetimes()).tokenSeconds).toBe(3600);
      });

      test('gives the longest lifetime of refresh tokens that was ever raised', async () => {
        const longest = async () => (await database.keys.longestLifetimes()).refreshTokenSeconds;
        expect(await longest()).toBe(0);
        for (const seconds of [3600, 7200, 60]) await database.keys.raiseRefreshTtl(seconds);
        expect(await longest()).toBe(7200);
      });

      test('keeps the order in which keys were added, regardless of their ids', async () => {
        await insert(pending('k1', { id: 30 }), pending('k2', { id: 10 }), pending('k3', { id: 20 }));
        const { keys } = await database.keys.snapshot();
        expect(keys.map(({ kid, id }) => `${kid} ${id}`)).toEqual(['k1 30', 'k2 10', 'k3 20']);
      });

      test('reports an existing kid before a second active key', async () => {
        await insert(active('k1'));
        expect(await database.keys.insert(active('k1'))).toBe('kid_exists');
      });

      test('leaves the transaction usable if it adds nothing', async () => {
        await insert(active('k1'));
        await database.transaction(async ({ keys, users }) => {
          expect(await keys.insert(active('k2'))).toBe('active_exists');
          expect(await keys.insert(pending('k1'))).toBe('kid_exists');
          expect(await keys.insert(pending('k2'))).toBe('inserted');
          await users.add({ sub: 'alice', name: null, at: AT });
        });
        expect(await states()).toEqual({ k1: 'active', k2: 'pending' });
        expect(await database.users.find('alice')).not.toBeNull();
      });

      test('leaves the revision unchanged if it adds nothing', async () => {
        await insert(active('k1'));
        const before = await database.keys.snapshot();
        await database.keys.insert(active('k2'));
        await database.keys.insert(pending('k1'));
        expect(await database.keys.snapshot()).toEqual(before);
      });

      test('adds one of 16 concurrent active keys', async () => {
        const outcomes = await Promise.all(
          Array.from({ length: 16 }, (_, index) =>
            database.transaction(({ keys }) => keys.insert(active(`k${index}`))),
          ),
        );
        expect(outcomes.filter((outcome) => outcome === 'inserted')).toHaveLength(1);
        expect(outcomes.filter((outcome) => outcome === 'active_exists')).toHaveLength(15);
        expect(Object.values(await states())).toEqual(['active']);
      });
    });

    describe('the database constraint of one active key', () => {
      beforeEach(() => insert(active('k1'), pending('k2')));

      test('refuses to insert a second active key', async () => {
        const statement = opened.db.insertInto('keystore').values({
          id: 3,
          kid: 'k3',
          alg: 'RS256',
          bits: 2048,
          state: 'active',
          public_key: 'p',
          created_at: AT,
        });
        await expect(statement.execute()).rejects.toMatchObject({ code: 'ERR_DUPLICATE_KEY' });
        expect(await states()).toEqual({ k1: 'active', k2: 'pending' });
      });

      test('refuses to update another key to active', async () => {
        const statement = opened.db.updateTable('keystore').set({ state: 'active' }).where('kid', '=', 'k2');
        await expect(statement.execute()).rejects.toMatchObject({ code: 'ERR_DUPLICATE_KEY' });
        expect(await states()).toEqual({ k1: 'active', k2: 'pending' });
      });

      test('allows any number of keys in any other state', async () => {
        for (const state of ['pending', 'retiring', 'retired', 'compromised'] as const) {
          await insert(pending(`${state}-1`), pending(`${state}-2`));
          await opened.db.updateTable('keystore').set({ state }).where('kid', 'like', `${state}-%`).execute();
        }
        expect(Object.keys(await states())).toHaveLength(10);
      });
    });

    describe('snapshot and find', () => {
      test('the oldest key comes first, regardless of the kids', async () => {
        await insert(pending('m'), pending('a'), pending('Z'));
        const { keys } = await database.keys.snapshot();
        expect(keys.map(({ kid }) => kid)).toEqual(['m', 'a', 'Z']);
      });

      test('kids are compared byte for byte', async () => {
        await insert(
          pending('a', { bits: 2048 }),
          pending('A', { bits: 3072 }),
          pending('a.', { bits: 4096 }),
        );
        expect((await database.keys.find('a'))?.bits).toBe(2048);
        expect((await database.keys.find('A'))?.bits).toBe(3072);
        for (const other of ['a ', ' a', 'á', 'a\u0301', 'aa', '%', '']) {
          expect(await database.keys.find(other), JSON.stringify(other)).toBeNull();
          expect(await database.keys.findSealed(other), JSON.stringify(other)).toBeNull();
        }
      });

      test('kids that look like numbers stay unchanged', async () => {
        await insert(pending('007'), pending('7'), pending('1e3'));
        const { keys } = await database.keys.snapshot();
        expect(keys.map(({ kid }) => kid)).toEqual(['007', '7', '1e3']);
        expect((await database.keys.find('007'))?.kid).toBe('007');
        expect(await database.keys.find('1000')).toBeNull();
      });

      test('a kid may be 128 characters long', async () => {
        const kid = 'k'.repeat(128);
        await insert(pending(kid));
        expect((await database.keys.find(kid))?.kid).toBe(kid);
      });

      test('only findSealed returns the private key', async () => {
        await insert(active('k1'));
        const { keys } = await database.keys.snapshot();
        expect(JSON.stringify([keys, await database.keys.find('k1')])).not.toContain(SEALED);
        expect(await database.keys.findSealed('k1')).toBe(SEALED);
      });
    });

    describe('apply', () => {
      const demote = {
        kid: 'k1',
        from: 'active',
        to: 'retiring',
        at: AT + 1,
        verifyUntil: AT + 99,
      } as const;
      const promote = { kid: 'k2', from: 'pending', to: 'active', at: AT + 2, maxTtlSeconds: 3600 } as const;
      const retire = { kid: 'k1', from: 'retiring', to: 'retired', at: AT + 100 } as const;

      beforeEach(() => insert(active('k1'), pending('k2')));

      test('to retiring sets the time, and until when the key verifies', async () => {
        const before = await database.keys.find('k1');
        expect(await apply(demote)).toBe(true);
        expect(await database.keys.find('k1')).toEqual({
          ...before,
          state: 'retiring',
          retiringAt: AT + 1,
          verifyUntil: AT + 99,
        });
        expect(await database.keys.findSealed('k1')).toBe(SEALED);
      });

      test('to active sets the time and the longest lifetime', async () => {
        const before = await database.keys.find('k2');
        expect(await apply(demote, promote)).toBe(true);
        expect(await database.keys.find('k2')).toEqual({
          ...before,
          state: 'active',
          activatedAt: AT + 2,
          maxTtlSeconds: 3600,
        });
      });

      test('to retired sets the time, and wipes the private key but not the public key', async () => {
        await apply(demote);
        const before = await database.keys.find('k1');
        expect(await apply(retire)).toBe(true);
        expect(await database.keys.find('k1')).toEqual({
          ...before,
          state: 'retired',
          retiredAt: AT + 100,
          masterKeyId: null,
        });
        expect(await database.keys.findSealed('k1')).toBeNull();
        const rows = await opened.db.selectFrom('keystore').selectAll().where('kid', '=', 'k1').execute();
        expect(JSON.stringify(rows)).not.toContain(SEALED);
      });

      test.each([
        ['active', 'k1'],
        ['pending', 'k2'],
      ] as const)('from %s to compromised sets the time, and wipes the private key', async (from, kid) => {
        const before = await database.keys.find(kid);
        expect(await apply({ kid, from, to: 'compromised', at: AT + 5 })).toBe(true);
        expect(await database.keys.find(kid)).toEqual({
          ...before,
          state: 'compromised',
          compromisedAt: AT + 5,
          masterKeyId: null,
        });
        expect(await database.keys.findSealed(kid)).toBeNull();
      });

      test('allows another active key after a compromise', async () => {
        const compromise = { kid: 'k1', from: 'active', to: 'compromised', at: AT + 5 } as const;
        expect(await apply(compromise, promote)).toBe(true);
        expect(await states()).toEqual({ k1: 'compromised', k2: 'active' });
      });

      test('with an outdated revision changes nothing', async () => {
        const { revision } = await database.keys.snapshot();
        await insert(pending('k3'));
        const before = await database.keys.snapshot();
        expect(await database.keys.apply(revision, [demote, promote])).toBe(false);
        expect(await database.keys.snapshot()).toEqual(before);
      });

      test('changes the revision, so the same plan fails the second time', async () => {
        const { revision } = await database.keys.snapshot();
        expect(await database.keys.apply(revision, [demote])).toBe(true);
        expect(await database.keys.apply(revision, [promote])).toBe(false);
        expect(await states()).toEqual({ k1: 'retiring', k2: 'pending' });
      });

      test('fails if the longest lifetime was raised since', async () => {
        const { revision } = await database.keys.snapshot();
        expect(await database.keys.raiseMaxTtl('k1', 86_400)).toBe(true);
        expect(await database.keys.apply(revision, [demote, promote])).toBe(false);
        expect(await states()).toEqual({ k1: 'active', k2: 'pending' });
      });

      test('of 16 concurrent plans with one revision applies one', async () => {
        const { revision } = await database.keys.snapshot();
        const outcomes = await Promise.all(
          Array.from({ length: 16 }, () =>
            database.transaction(({ keys }) => keys.apply(revision, [demote, promote])),
          ),
        );
        expect(outcomes.filter(Boolean)).toHaveLength(1);
        expect(await states()).toEqual({ k1: 'retiring', k2: 'active' });
      });

      test.each([
        { name: 'a key in another state', transition: { ...promote, kid: 'k1' } },
        { name: 'a key that does not exist', transition: { ...promote, kid: 'k9' } },
      ])('of $name is a defect and changes nothing', async ({ transition }) => {
        const before = await database.keys.snapshot();
        await expect(apply(demote, transition)).rejects.toMatchObject({
          kind: 'bug',
          code: 'ERR_BUG',
        });
        expect(await database.keys.snapshot()).toEqual(before);
      });

      test('refuses to promote before demoting', async () => {
        await expect(apply(promote, demote)).rejects.toMatchObject({ code: 'ERR_DUPLICATE_KEY' });
        expect(await states()).toEqual({ k1: 'active', k2: 'pending' });
      });
    });

    describe('reseal', () => {
      const by = { sealed: 'eyJhbGciOiJkaXIifQ..sealed-again', masterKeyId: 'mk-2' };
      beforeEach(() => insert(active('k1'), pending('k2')));

      test('replaces the given JWE, and records its master key', async () => {
        const before = await database.keys.snapshot();
        expect(await database.keys.reseal('k1', SEALED, by)).toBe(true);
        expect(await database.keys.findSealed('k1')).toBe(by.sealed);
        expect(await database.keys.findSealed('k2')).toBe(SEALED);
        const [k1, k2] = before.keys;
        expect(await database.keys.snapshot()).toEqual({
          // So a rotation in progress can continue.
          revision: before.revision,
          recoveredAt: before.recoveredAt,
          keys: [{ ...k1, masterKeyId: 'mk-2' }, k2],
        });
      });

      test.each([
        ['was replaced', SEALED.toUpperCase()],
        ['was wiped', 'k1'],
      ])('changes nothing if the JWE %s', async (_what, sealed) => {
        if (sealed === 'k1') await apply({ kid: 'k1', from: 'active', to: 'compromised', at: AT });
        const before = await database.keys.snapshot();
        expect(await database.keys.reseal('k1', sealed === 'k1' ? SEALED : sealed, by)).toBe(false);
        expect(await database.keys.snapshot()).toEqual(before);
      });
    });

    describe('recover', () => {
      test('sets the revision and the time, and changes no key', async () => {
        await insert(active('k1'));
        const { keys } = await database.keys.snapshot();
        expect(await database.keys.recover({ since: 0, revision: 9, recoveredAt: 70 })).toBe(true);
        expect(await database.keys.snapshot()).toEqual({ revision: 9, recoveredAt: 70, keys });
        expect(await database.heads()).toMatchObject({ revision: 9, recoveredAt: 70 });
      });

      test('fails changes planned before', async () => {
        const { revision } = await database.keys.snapshot();
        await database.keys.recover({ since: 0, revision: revision + 1, recoveredAt: 70 });
        expect(await database.keys.apply(revision, [])).toBe(false);
      });

      test('changes nothing if the last recovery was at another time', async () => {
        await database.keys.recover({ since: 0, revision: 9, recoveredAt: 70 });
        expect(await database.keys.recover({ since: 0, revision: 10, recoveredAt: 71 })).toBe(false);
        expect(await database.heads()).toMatchObject({ revision: 9, recoveredAt: 70 });
      });
    });

    describe('removeRetired', () => {
      const retire = { kid: 'k2', from: 'pending', to: 'retired', at: AT + 100 } as const;
      beforeEach(() => insert(active('k1'), pending('k2'), pending('k3')));

      test('removes the row of a retired key, and fails changes planned before', async () => {
        await apply(retire);
        const { revision } = await database.keys.snapshot();
        expect(await database.keys.removeRetired('k2')).toBe(true);
        expect(await states()).toEqual({ k1: 'active', k3: 'pending' });
        expect(await database.keys.apply(revision, [])).toBe(false);
      });

      test('removes no key in another state', async () => {
        await apply({ kid: 'k3', from: 'pending', to: 'compromised', at: AT });
        const before = await database.keys.snapshot();
        for (const kid of ['k1', 'k2', 'k3', 'k4'])
          expect(await database.keys.removeRetired(kid)).toBe(false);
        expect(await database.keys.snapshot()).toEqual(before);
      });
    });

    describe('raiseMaxTtl', () => {
      test('raises the lifetime and never lowers it', async () => {
        await insert(active('k1', { maxTtlSeconds: 600 }));
        const maxTtl = async () => (await database.keys.find('k1'))?.maxTtlSeconds;
        expect(await database.keys.raiseMaxTtl('k1', 3600)).toBe(true);
        expect(await maxTtl()).toBe(3600);
        expect(await database.keys.raiseMaxTtl('k1', 60)).toBe(true);
        expect(await maxTtl()).toBe(3600);
        expect(await database.keys.raiseMaxTtl('k1', 3600)).toBe(true);
        expect(await maxTtl()).toBe(3600);
      });

      test('sets an unknown lifetime', async () => {
        await insert(active('k1', { maxTtlSeconds: null }));
        expect(await database.keys.raiseMaxTtl('k1', 3600)).toBe(true);
        expect((await database.keys.find('k1'))?.maxTtlSeconds).toBe(3600);
      });

      test('raises the lifetime of a verify-only key', async () => {
        await insert(verifyOnly('k1'));
        expect(await database.keys.raiseMaxTtl('k1', 3600)).toBe(true);
        expect((await database.keys.find('k1'))?.maxTtlSeconds).toBe(3600);
      });

      test('changes only the given key', async () => {
        await insert(active('k1', { maxTtlSeconds: 600 }), pending('K1'));
        await database.keys.raiseMaxTtl('k1', 3600);
        expect((await database.keys.find('K1'))?.maxTtlSeconds).toBeNull();
      });

      test('returns false and changes nothing if the key is not active', async () => {
        await insert(active('k1'), pending('k2'));
        await apply({ kid: 'k1', from: 'active', to: 'retiring', at: AT, verifyUntil: AT + 9 });
        const before = await database.keys.snapshot();
        for (const kid of ['k1', 'k2', 'k9']) {
          expect(await database.keys.raiseMaxTtl(kid, 86_400), kid).toBe(false);
        }
        expect(await database.keys.snapshot()).toEqual(before);
      });
    });
  });
}

const ids = new Map<string, number>();

/** Returns a distinct number for each kid; earlier kids get larger numbers. */
function idOf(kid: string): number {
  const id = ids.get(kid) ?? 33_554_431 - ids.size;
  ids.set(kid, id);
  return id;
}

function pending(kid: string, parts: Partial<NewSigningKey> = {}): NewSigningKey {
  return {
    id: idOf(kid),
    kid,
    alg: 'RS256',
    bits: 2048,
    state: 'pending',
    publicKey: `the public key of ${kid}`,
    sealedPrivateKey: SEALED,
    masterKeyId: 'mk-1',
    maxTtlSeconds: null,
    createdAt: AT,
    activatedAt: null,
    ...parts,
  };
}

function verifyOnly(kid: string, parts: Partial<NewSigningKey> = {}): NewSigningKey {
  return pending(kid, { state: 'retiring', sealedPrivateKey: null, masterKeyId: null, ...parts });
}

function active(kid: string, parts: Partial<NewSigningKey> = {}): NewSigningKey {
  return pending(kid, { state: 'active', maxTtlSeconds: 3600, activatedAt: AT, ...parts });
}
