import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sqlDatabase } from '../../src/adapters/sql/stores/database.js';
import type { Database, NewSecurityEvent, SecurityLog } from '../../src/domain/ports/index.js';
import { readEvents } from '../../src/domain/security-log/revocation-index.js';
import { createMigrated, type SqlDatabaseUnderTest, type SqlEngine } from '../support/sql-engines.js';

/** Ahead of the database's clock, because events of a host that is behind are kept longer. */
const AT = Math.floor(Date.now() / 1000) + 1_000;
const BEHIND = AT - 1_000_000;
const UNKNOWN_TOKEN = { sub: 'unknown', kid: 'none', jti: null };

export function securityLogContract(engine: SqlEngine): void {
  describe(`security log: ${engine.name}`, () => {
    let opened: SqlDatabaseUnderTest;
    let database: Database;
    let log: SecurityLog;

    beforeEach(async () => {
      opened = await createMigrated(engine);
      database = sqlDatabase(opened.db);
      log = database.securityLog;
    });
    afterEach(() => opened.close());

    function append(
      event: Omit<NewSecurityEvent, 'reason' | 'at' | 'expiresAt'>,
      parts = {},
    ): Promise<number> {
      return log.append({ reason: null, at: AT, expiresAt: AT + 3600, ...event, ...parts });
    }

    async function concerning(token: { sub: string; kid: string; jti: string | null }): Promise<number[]> {
      return (await log.findConcerning(token)).map(({ id }) => id);
    }

    async function concerningSubjects(...subs: string[]): Promise<number[]> {
      return concerningTokens(...subs.map((sub): [string, null] => [sub, null]));
    }

    async function concerningTokens(...tokens: Array<[sub: string, jti: string | null]>): Promise<number[]> {
      const found = await log.findNaming(tokens.map(([sub, jti]) => ({ sub, jti })));
      return found.map(({ id }) => id);
    }

    test('returns every field of an event', async () => {
      const id = await log.append({
        type: 'subject_revoked',
        sub: 'alice',
        issuedBefore: AT - 5,
        except: 'kept',
        reason: 'Gerät verloren 😀',
        at: AT,
        expiresAt: AT + 3600,
      });
      expect(await log.findConcerning({ sub: 'alice', kid: 'k1', jti: null })).toEqual([
        {
          id,
          type: 'subject_revoked',
          sub: 'alice',
          jti: null,
          kid: null,
          issuedBefore: AT - 5,
          userVersion: null,
          except: 'kept',
          reason: 'Gerät verloren 😀',
          at: AT,
          expiresAt: AT + 3600,
          verifiersUntil: AT + 3600,
        },
      ]);
    });

    test('returns jti, kid, and user version of events', async () => {
      await append({ type: 'token_revoked', sub: 'alice', jti: 'jti-1' });
      await append({ type: 'kid_revoked', kid: 'k1', issuedBefore: AT });
      await append({ type: 'user_disabled', sub: 'alice', userVersion: 2 });
      expect(await log.findConcerning({ sub: 'alice', kid: 'k1', jti: 'jti-1' })).toMatchObject([
        { type: 'token_revoked', jti: 'jti-1' },
        { type: 'kid_revoked', kid: 'k1', sub: null, issuedBefore: AT },
        { type: 'user_disabled', userVersion: 2 },
      ]);
    });

    test('keeps the end for verifiers apart, by the clock of the database', async () => {
      await append({ type: 'all_revoked', issuedBefore: AT, verifiersUntil: AT + 60 });
      const late = BEHIND + 60;
      await append({ type: 'all_revoked', issuedBefore: AT }, { at: BEHIND, verifiersUntil: late });
      const [first, second] = await log.listAfter(0, 10);
      expect(first).toMatchObject({ verifiersUntil: AT + 60, expiresAt: AT + 3600 });
      expect(second?.verifiersUntil).toBeGreaterThan(AT - 1_000);
    });

    test('ids grow, and are not reused after events are cleared', async () => {
      const first = await append({ type: 'all_revoked', issuedBefore: AT });
      const second = await append({ type: 'all_revoked', issuedBefore: AT });
      await opened.db.updateTable('security_log').set({ expires_at: BEHIND }).execute();
      expect(await log.clearExpired(100)).toBe(2);
      const third = await append({ type: 'all_revoked', issuedBefore: AT });
      expect(second).toBeGreaterThan(first);
      expect(third).toBeGreaterThan(second);
      expect(await concerning(UNKNOWN_TOKEN)).toEqual([third]);
    });

    describe('findConcerning', () => {
      test('finds only events of the subject, of the kid, and global ones, oldest first', async () => {
        const ids = {
          aliceToken: await append({ type: 'token_revoked', sub: 'alice', jti: 'a' }),
          bob: await append({ type: 'subject_revoked', sub: 'bob', issuedBefore: AT }),
          k2: await append({ type: 'kid_revoked', kid: 'k2', issuedBefore: AT }),
          all: await append({ type: 'all_revoked', issuedBefore: AT }),
          k1: await append({ type: 'kid_revoked', kid: 'k1', issuedBefore: AT }),
          alice: await append({ type: 'user_removed', sub: 'alice', userVersion: 2 }),
        };
        expect(await concerning({ sub: 'alice', kid: 'k1', jti: 'a' })).toEqual([
          ids.aliceToken,
          ids.all,
          ids.k1,
          ids.alice,
        ]);
        expect(await concerning({ sub: 'bob', kid: 'k2', jti: 'a' })).toEqual([ids.bob, ids.k2, ids.all]);
        expect(await concerning(UNKNOWN_TOKEN)).toEqual([ids.all]);
      });

      test('finds the event of a family for each of its tokens', async () => {
        const family = 'f'.repeat(22);
        const id = await append({ type: 'family_revoked', sub: 'alice', jti: family });
        await append({ type: 'family_revoked', sub: 'alice', jti: 'g'.repeat(22) });
        const other = await append({ type: 'token_revoked', sub: 'alice', jti: `${family}.1` });
        expect(await concerning({ sub: 'alice', kid: 'k1', jti: `${family}.0` })).toEqual([id]);
        expect(await concerning({ sub: 'alice', kid: 'k1', jti: `${family}.1` })).toEqual([id, other]);
        expect(await concerning({ sub: 'bob', kid: 'k1', jti: `${family}.0` })).toEqual([]);
        expect(await concerningTokens(['alice', `${family}.0`], ['bob', `${family}.1`])).toEqual([id]);
      });

      test('compares subjects and kids byte for byte', async () => {
        const subjects = [
          'alice',
          'Alice',
          'alice ',
          'alic\u00e9',
          'alice\u0301',
          '7',
          '007',
          '😀',
          'x'.repeat(255),
        ];
        const ids = new Map<string, number>();
        for (const sub of subjects) ids.set(sub, await append({ type: 'token_revoked', sub, jti: 'a' }));
        for (const sub of subjects) {
          expect(await concerning({ sub, kid: 'none', jti: 'a' }), JSON.stringify(sub)).toEqual([
            ids.get(sub),
          ]);
        }
        const lower = await append({ type: 'kid_revoked', kid: 'a', issuedBefore: AT });
        const upper = await append({ type: 'kid_revoked', kid: 'A', issuedBefore: AT });
        expect(await concerning({ ...UNKNOWN_TOKEN, kid: 'a' })).toEqual([lower]);
        expect(await concerning({ ...UNKNOWN_TOKEN, kid: 'A' })).toEqual([upper]);
        expect(await concerning({ ...UNKNOWN_TOKEN, kid: 'a ' })).toEqual([]);
      });

      test('does not confuse a subject with a kid of the same name', async () => {
        await append({ type: 'subject_revoked', sub: 'same', issuedBefore: AT });
        expect(await concerning({ sub: 'other', kid: 'same', jti: 'same' })).toEqual([]);
      });

      test('finds token_revoked only for the given jti, and without a jti none', async () => {
        const ids: Record<string, number> = {};
        for (const jti of ['a', 'A', 'a ', '\u00e1']) {
          ids[jti] = await append({ type: 'token_revoked', sub: 'alice', jti });
        }
        await append({ type: 'token_revoked', sub: 'bob', jti: 'a' });
        const user = await append({ type: 'user_disabled', sub: 'alice', userVersion: 2 });
        const all = await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: AT });
        for (const [jti, id] of Object.entries(ids)) {
          expect(await concerning({ sub: 'alice', kid: 'k1', jti }), jti).toEqual([id, user, all]);
        }
        expect(await concerning({ sub: 'alice', kid: 'k1', jti: 'b' })).toEqual([user, all]);
        expect(await concerning({ sub: 'alice', kid: 'k1', jti: null })).toEqual([user, all]);
      });
    });

    describe('rows that another program changed', () => {
      const TOKEN = { sub: 'alice', kid: 'k1', jti: 'a' };
      const change = (id: number, values: Record<string, unknown>) =>
        opened.db.updateTable('security_log').set(values).where('id', '=', id).execute();

      test.each([
        ['a jti without a subject', { sub: null, jti: 'a', kid: null }],
        ['a jti with an empty subject', { sub: '', jti: 'a', kid: null }],
        ['a subject with an empty jti', { sub: 'alice', jti: '', kid: null }],
        ['a kid with another subject', { sub: 'bob', jti: null, kid: 'k1' }],
      ])('are found by the name that is left: %s', async (_, values) => {
        for (const type of ['token_revoked', 'Token_Revoked', 'session_ended', 'key_compromised ']) {
          const id = await append({ type: 'token_revoked' });
          await change(id, { type, ...values });
          expect(await concerning(TOKEN), type).toContain(id);
          const index = await readEvents(log, [TOKEN]);
          expect(index.covers({ ...TOKEN, iat: AT }), type).toBe(true);
          await opened.db.deleteFrom('security_log').execute();
        }
      });

      test('are reported with the id of the row', async () => {
        const warnings: string[] = [];
        const { securityLog } = sqlDatabase(opened.db, { onInvalidEvent: (text) => warnings.push(text) });
        const id = await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: AT });
        await securityLog.listAfter(0, 10);
        expect(warnings).toEqual([]);
        await change(id, { issued_before: null });
        await securityLog.listAfter(0, 10);
        expect(warnings).toEqual([expect.stringContaining(`Row ${id} of the table security_log`)]);
      });
    });

    describe('expiry', () => {
      const WEEK = 7 * 24 * 3600;
      const realNow = () => Math.floor(Date.now() / 1000);

      /** Backdates the event. */
      const expireAt = (id: number, time: number) =>
        opened.db.updateTable('security_log').set({ expires_at: time }).where('id', '=', id).execute();

      test('an append removes nothing, regardless of the host’s clock', async () => {
        const id = await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: AT });
        const at = realNow() + 1_000 * WEEK;
        const later = await append({ type: 'user_disabled', sub: 'bob' }, { at, expiresAt: at + 3600 });
        expect(await concerningSubjects('alice', 'bob')).toEqual([id, later]);
      });

      test('keeps an event from a host whose clock is behind for its full lifetime', async () => {
        const before = realNow();
        const times = { at: BEHIND, expiresAt: BEHIND + 3600 };
        const id = await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: BEHIND }, times);
        const [event] = await log.findNaming([{ sub: 'alice', jti: null }]);
        expect(event).toMatchObject({ id, at: BEHIND });
        expect(event?.expiresAt).toBeGreaterThanOrEqual(before + 3600);
        expect(event?.expiresAt).toBeLessThan(before + 3700);
      });

      test('keeps the expiry of an event from a host whose clock is ahead', async () => {
        const at = realNow() + 86_400;
        await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: at }, { at, expiresAt: at + 60 });
        expect(await log.findNaming([{ sub: 'alice', jti: null }])).toMatchObject([{ expiresAt: at + 60 }]);
      });

      test('clears only events that expired over a week ago by the database’s clock', async () => {
        const ids = await Promise.all(
          Array.from({ length: 3 }, () => append({ type: 'all_revoked', issuedBefore: AT })),
        );
        const [old, recent, live] = ids.sort((a, b) => a - b) as [number, number, number];
        await expireAt(old, realNow() - WEEK - 60);
        await expireAt(recent, realNow() - WEEK + 60);
        expect(await log.clearExpired(100)).toBe(1);
        expect(await concerning(UNKNOWN_TOKEN)).toEqual([recent, live]);
        expect(await log.clearExpired(100)).toBe(0);
      });

      test('clears at most the given number of events, oldest first', async () => {
        const ids: number[] = [];
        for (let index = 0; index < 5; index++) {
          ids.push(await append({ type: 'all_revoked', issuedBefore: AT }));
          await expireAt(ids.at(-1) as number, BEHIND - index);
        }
        expect(await log.clearExpired(2)).toBe(2);
        expect(await concerning(UNKNOWN_TOKEN)).toEqual(ids.slice(0, 3));
        expect(await log.clearExpired(2)).toBe(2);
        expect(await log.clearExpired(2)).toBe(1);
        expect(await concerning(UNKNOWN_TOKEN)).toEqual([]);
      });
    });

    describe('findNaming', () => {
      test('finds only events of the given subjects, oldest first', async () => {
        const ids = {
          aliceToken: await append({ type: 'token_revoked', sub: 'alice', jti: 'a' }),
          bob: await append({ type: 'subject_revoked', sub: 'bob', issuedBefore: AT }),
          carol: await append({ type: 'user_removed', sub: 'carol', userVersion: 2 }),
          all: await append({ type: 'all_revoked', issuedBefore: AT }),
          k1: await append({ type: 'kid_revoked', kid: 'k1', issuedBefore: AT }),
          alice: await append({ type: 'user_disabled', sub: 'alice', userVersion: 2 }),
        };
        expect(await concerningTokens(['carol', null], ['alice', 'a'])).toEqual([
          ids.aliceToken,
          ids.carol,
          ids.alice,
        ]);
        expect(await concerningSubjects('bob', 'bob', 'unknown')).toEqual([ids.bob]);
        expect(await concerningSubjects('unknown')).toEqual([]);
        expect(await concerningSubjects()).toEqual([]);
      });

      test('returns every field of an event', async () => {
        const event = { type: 'token_revoked', sub: 'alice', jti: 'a', reason: 'lost', at: AT } as const;
        const id = await log.append({ ...event, expiresAt: AT + 3600 });
        expect(await log.findNaming([{ sub: 'alice', jti: 'a' }])).toEqual([
          {
            ...event,
            id,
            kid: null,
            issuedBefore: null,
            userVersion: null,
            except: null,
            expiresAt: AT + 3600,
            verifiersUntil: AT + 3600,
          },
        ]);
      });

      test('compares subjects byte for byte', async () => {
        for (const sub of ['Alice', 'alice ', 'alic\u00e9', '007']) {
          await append({ type: 'subject_revoked', sub, issuedBefore: AT });
        }
        const id = await append({ type: 'subject_revoked', sub: '7', issuedBefore: AT });
        expect(await concerningSubjects('alice', 'alic', 'alice\u0301', '7')).toEqual([id]);
      });

      test('finds the events of many subjects', async () => {
        const subs = Array.from({ length: 2_500 }, (_, index) => `user-${index}`);
        const ids = [];
        for (const index of [0, 999, 1_000, 2_499]) {
          ids.push(await append({ type: 'subject_revoked', sub: subs[index] as string, issuedBefore: AT }));
        }
        expect(await concerningSubjects(...subs.reverse())).toEqual(ids);
      });

      test('finds token_revoked only for the given tokens, and without a jti none', async () => {
        const ids: Record<string, number> = {};
        for (const jti of ['a', 'A', 'a ', '\u00e1']) {
          ids[jti] = await append({ type: 'token_revoked', sub: 'alice', jti });
        }
        const bob = await append({ type: 'token_revoked', sub: 'bob', jti: 'b' });
        const all = await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: AT });
        for (const [jti, id] of Object.entries(ids)) {
          expect(await concerningTokens(['alice', jti]), jti).toEqual([id, all]);
        }
        expect(await concerningTokens(['alice', null])).toEqual([all]);
        expect(await concerningTokens(['alice', 'b'], ['bob', 'a'])).toEqual([all]);
        expect(await concerningTokens(['alice', 'a'], ['bob', 'b'], ['alice', 'a '])).toEqual([
          ids.a,
          ids['a '],
          bob,
          all,
        ]);
      });

      test('finds each event once for many tokens of one or many subjects', async () => {
        const tokens = Array.from({ length: 2_500 }, (_, index): [string, string] => [
          index % 2 === 0 ? 'alice' : `user-${index}`,
          `j${index}`,
        ]);
        const ids = [];
        for (const index of [0, 1, 998, 999, 1_000, 2_499]) {
          const [sub, jti] = tokens[index] as [string, string];
          ids.push(await append({ type: 'token_revoked', sub, jti }));
        }
        expect(await concerningTokens(...tokens, ...tokens)).toEqual(ids);
      });
    });

    test('findGlobal finds every event without a subject, oldest first', async () => {
      expect(await log.findGlobal()).toEqual([]);
      const ids = [
        await append({ type: 'kid_revoked', kid: 'k1', issuedBefore: AT }),
        await append({ type: 'all_revoked', issuedBefore: AT }),
        await append({ type: 'key_compromised', kid: 'k2' }),
      ];
      for (const type of ['token_revoked', 'subject_revoked', 'user_disabled'] as const) {
        await append({ type, sub: 'alice', jti: 'a', issuedBefore: AT, userVersion: 2 });
      }
      const found = await log.findGlobal();
      expect(found.map(({ id }) => id)).toEqual(ids);
      expect(found).toMatchObject([
        { type: 'kid_revoked', kid: 'k1', sub: null, issuedBefore: AT },
        { type: 'all_revoked', kid: null, issuedBefore: AT },
        { type: 'key_compromised', kid: 'k2', issuedBefore: null },
      ]);
    });

    test('listAfter lists up to the limit of events of every type, by id', async () => {
      const ids = [
        await append({ type: 'token_revoked', sub: 'alice', jti: 'a' }),
        await append({ type: 'all_revoked', issuedBefore: AT }),
        await append({ type: 'user_disabled', sub: 'bob', userVersion: 2 }),
      ];
      const idsBehind = async (id: number, limit = 10) =>
        (await log.listAfter(id, limit)).map((event) => event.id);
      expect(await idsBehind(0)).toEqual(ids);
      expect(await idsBehind(0, 2)).toEqual(ids.slice(0, 2));
      expect(await idsBehind(ids[1] as number)).toEqual(ids.slice(2));
      expect(await idsBehind(ids[2] as number)).toEqual([]);
      expect(await log.listAfter(ids[1] as number, 1)).toMatchObject([
        { type: 'user_disabled', sub: 'bob', userVersion: 2, jti: null, kid: null, issuedBefore: null },
      ]);
    });

    describe('highestUserVersions', () => {
      test('omits subjects without events or versions', async () => {
        await append({ type: 'user_disabled', sub: 'bob', userVersion: 9 });
        await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: AT });
        expect(await log.highestUserVersions(['alice', 'carol'])).toEqual(new Map());
        expect(await log.highestUserVersions([])).toEqual(new Map());
      });

      test('is the highest version in the events of exactly this subject', async () => {
        await append({ type: 'user_disabled', sub: 'alice', userVersion: 2 });
        await append({ type: 'user_removed', sub: 'alice', userVersion: 4 });
        await append({ type: 'user_enabled', sub: 'alice', userVersion: 3 });
        await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: AT });
        await append({ type: 'user_disabled', sub: 'Alice', userVersion: 99 });
        await append({ type: 'user_disabled', sub: 'bob', userVersion: 7 });
        expect(await log.highestUserVersions(['alice', 'bob'])).toEqual(
          new Map([
            ['alice', 4],
            ['bob', 7],
          ]),
        );
      });

      test("survives the user's removal", async () => {
        await database.users.add({ sub: 'alice', name: null, at: AT });
        await append({ type: 'user_removed', sub: 'alice', userVersion: 2 });
        await database.users.remove('alice');
        expect(await log.highestUserVersions(['alice'])).toEqual(new Map([['alice', 2]]));
      });
    });

    test('keeps 16 concurrent events with distinct ids', async () => {
      const ids = await Promise.all(
        Array.from({ length: 16 }, (_, index) =>
          database.transaction((stores) =>
            stores.securityLog.append({
              type: 'token_revoked',
              sub: 'alice',
              jti: `j${index}`,
              reason: null,
              at: AT,
              expiresAt: AT + 60,
            }),
          ),
        ),
      );
      expect(new Set(ids).size).toBe(16);
      for (const index of ids.keys()) {
        expect(await concerning({ sub: 'alice', kid: 'none', jti: `j${index}` })).toEqual([ids[index]]);
      }
    });
  });
}
