import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { familyJti } from '../../src/domain/model/family.js';
import { legacyId } from '../../src/domain/model/legacy-id.js';
import { newRandomId } from '../../src/domain/model/random-id.js';
import type {
  EntryFilter,
  RegistryEntry,
  ScannedSubject,
  StatusReader,
  TokenRegistry,
} from '../../src/domain/ports/index.js';
import { IDLE_TIMEOUT_SECONDS } from '../support/embedded.js';
import { registerOne } from '../support/registering.js';

export interface RecordingRegistry {
  /** Stores when tokens are used. */
  registry: TokenRegistry;
  /** Another one over the same data, which does not. */
  plain: TokenRegistry;
  now(): number;
  close(): Promise<void>;
}

export function lastSeenContract(name: string, open: () => Promise<RecordingRegistry>): void {
  describe(`when tokens were last seen: ${name}`, () => {
    let opened: RecordingRegistry;
    let registry: TokenRegistry;
    let plain: TokenRegistry;
    let reader: StatusReader;
    let now: number;

    beforeEach(async () => {
      opened = await open();
      ({ registry, plain } = opened);
      now = opened.now();
      reader = registry.openStatusReader({ nearCache: false, now: opened.now });
    });
    afterEach(async () => {
      reader.close();
      await opened.close();
    });

    function entry(jti: string, parts: Partial<RegistryEntry> = {}): RegistryEntry {
      return { jti, keyId: 1, iat: now - 10, exp: now + 3600, ...parts };
    }

    const register = (one: RegistryEntry, options = {}, at = now) =>
      registerOne(registry, 'alice', one, { now: at, ...options });
    const touch = (one: RegistryEntry, at: number) => reader.touch('alice', one, at);

    /** Reads it in all three ways, which must agree. */
    async function seen(one: RegistryEntry): Promise<number | undefined> {
      const stored = await reader.of('alice', one).read();
      const status = await registry.tokenStatus('alice', one, now);
      const listed = (await registry.list('alice', now)).find(({ jti }) => jti === one.jti);
      expect([status.lastSeen, listed?.lastSeen]).toEqual([stored.lastSeen, stored.lastSeen]);
      return stored.lastSeen;
    }

    test('is the time of its registration', async () => {
      await register(entry('a'));
      expect(await seen(entry('a'))).toBe(now);
      expect(await seen(entry('b'))).toBeUndefined();
    });

    test('is the time of the refresh for a token of a session', async () => {
      const family = newRandomId();
      const step = (counter: number, at: number) => ({
        ...{ sub: 'alice', entry: entry(familyJti(family, counter)), now: at },
        family: { startedAt: now, exp: now + 9_000, graceSeconds: 5, limit: { most: 9, above: 10 } },
      });
      await registry.advanceFamilies([step(0, now)]);
      await registry.advanceFamilies([step(1, now + 1)]);
      expect(await seen(entry(familyJti(family, 0)))).toBe(now);
      expect(await seen(entry(familyJti(family, 1)))).toBe(now + 1);
    });

    test('is not stored unless the registry is told to', async () => {
      await registerOne(plain, 'alice', entry('a'), { now });
      expect(await seen(entry('a'))).toBeUndefined();
      await register(entry('b'));
      expect((await plain.tokenStatus('alice', entry('b'), now)).exp).toBe(now + 3600);
    });

    test('is stored by a touch, also for a token that was registered without it', async () => {
      await registerOne(plain, 'alice', entry('a'), { now });
      await touch(entry('a'), now + 7);
      expect(await seen(entry('a'))).toBe(now + 7);
      await touch(entry('a'), now + 9);
      expect(await seen(entry('a'))).toBe(now + 9);
    });

    test('never moves back', async () => {
      await register(entry('a'), {}, now + 5);
      await touch(entry('a'), now + 4);
      await register(entry('a'), {}, now + 3);
      expect(await seen(entry('a'))).toBe(now + 5);
      const times = Array.from({ length: 50 }, (_, index) => now + 10 + ((index * 7) % 50));
      await Promise.all(times.map((time) => touch(entry('a'), time)));
      expect(await seen(entry('a'))).toBe(now + 59);
    });

    test('moves back only from the time to replace, after a clock was ahead', async () => {
      await register(entry('a'));
      await touch(entry('a'), now + 7_200);
      await reader.touch('alice', entry('a'), now + 1, now + 7_199);
      expect(await seen(entry('a'))).toBe(now + 7_200);
      await reader.touch('alice', entry('a'), now + 1, now + 7_200);
      expect(await seen(entry('a'))).toBe(now + 1);
    });

    test('is kept for each token of a subject', async () => {
      const entries = Array.from({ length: 700 }, (_, index) => entry(`j${index}`, { iat: now - index }));
      await registry.registerMany(entries.map((one) => ({ sub: 'alice', entry: one, now })));
      await Promise.all(entries.slice(0, 300).map((one, index) => touch(one, now + 1 + index)));
      const listed = await registry.list('alice', now);
      const times = new Map(listed.map(({ jti, lastSeen }) => [jti, lastSeen]));
      expect(times.size).toBe(700);
      for (const [index, { jti }] of entries.entries()) {
        expect(times.get(jti)).toBe(index < 300 ? now + 1 + index : now);
      }
    });

    test('accepts any jti, and a legacy token', async () => {
      const legacy = entry(legacyId('header.payload'));
      for (const one of [
        entry('~a'),
        entry('a.b'),
        entry('!s'),
        entry('x'.repeat(200)),
        entry('老'),
        legacy,
      ]) {
        await register(one);
        await touch(one, now + 3);
        expect(await seen(one), one.jti).toBe(now + 3);
      }
      expect(await registry.list('alice', now)).toHaveLength(6);
    });

    test('touching an entry that is gone stores nothing', async () => {
      await touch(entry('a'), now + 5);
      expect(await registry.list('alice', now)).toEqual([]);
      await register(entry('a'));
      await register(entry('b'));
      await registry.remove('alice', { jti: 'a' }, now);
      await touch(entry('a'), now + 5);
      expect((await reader.of('alice', entry('a')).read()).exp).toBeNull();
      await registerOne(plain, 'alice', entry('a'), { now });
      expect(await seen(entry('a'))).toBeUndefined();
    });

    const family = newRandomId();
    const removals: Array<[string, EntryFilter | 'everywhere' | 'exact' | 'evict']> = [
      ['by jti', { jti: familyJti(family, 0) }],
      ['by key', { keyId: 7 }],
      ['by family', { families: [family] }],
      ['by time', { issuedBefore: 1 }],
      ['of all subjects', 'everywhere'],
      ['by name', 'exact'],
      ['by maxPerSubject', 'evict'],
    ];
    test.each(removals)('goes with its entry: %s', async (_, how) => {
      const going = entry(familyJti(family, 0), { keyId: 7, iat: 1 });
      await register(going);
      await register(entry('stays', { iat: now }));
      if (how === 'everywhere') await registry.removeEverywhere({ keyId: 7 }, { now });
      else if (how === 'exact') await plain.removeEntries([{ sub: 'alice', entries: [going] }], now);
      else if (how === 'evict') await register(entry('new', { iat: now }), { maxPerSubject: 2 });
      else await plain.remove('alice', how, now);
      await registerOne(plain, 'alice', going, { now });
      expect(await seen(going)).toBeUndefined();
      expect(await seen(entry('stays', { iat: now }))).toBe(now);
    });

    test('goes with its entry from a subject with thousands of tokens', async () => {
      const entries = Array.from({ length: 2_500 }, (_, index) =>
        entry(`j${index}`, { keyId: 1 + (index % 2) }),
      );
      await registry.registerMany(entries.map((one) => ({ sub: 'alice', entry: one, now })));
      expect((await registry.remove('alice', { keyId: 2 }, now)).removed).toBe(1_250);
      await plain.registerMany(entries.map((one) => ({ sub: 'alice', entry: one, now })));
      const listed = await registry.list('alice', now);
      expect(listed.filter(({ lastSeen }) => lastSeen === undefined).map(({ keyId }) => keyId)).toEqual(
        Array.from({ length: 1_250 }, () => 2),
      );
    });

    describe('an idle token', () => {
      const refusing = { maxPerSubject: 2, onLimit: 'refuse' };
      const jtis = async () => (await registry.list('alice', now)).map(({ jti }) => jti).sort();
      const idleSince = () => now - 2 * 86_400;

      test('does not count toward a limit that refuses tokens, and is removed', async () => {
        const legacy = entry(legacyId('header.payload'));
        await register(entry('a'), {}, idleSince());
        await register(legacy, {}, idleSince());
        await register(entry('b'), refusing);
        expect(await jtis()).toEqual(['b']);
        await register(entry('c'), refusing);
        await expect(register(entry('d'), refusing)).rejects.toMatchObject({ code: 'ERR_TOKEN_LIMIT' });
        expect(await jtis()).toEqual(['b', 'c']);
      });

      test('counts until its timeout', async () => {
        await register(entry('a'), {}, now - IDLE_TIMEOUT_SECONDS + 60);
        await registerOne(plain, 'alice', entry('unknown'), { now });
        await expect(register(entry('b'), refusing)).rejects.toMatchObject({ code: 'ERR_TOKEN_LIMIT' });
        expect(await jtis()).toEqual(['a', 'unknown']);
      });

      test('is no live token of its session', async () => {
        const step = (family: string, at: number) => ({
          ...{ sub: 'alice', entry: entry(familyJti(family, 0)), now: at, maxPerSubject: 1 },
          onLimit: 'refuse' as const,
          family: { startedAt: now, exp: now + 9_000, graceSeconds: 5, limit: { most: 9, above: 10 } },
        });
        await registry.advanceFamilies([step(newRandomId(), idleSince())]);
        expect(await registry.advanceFamilies([step(newRandomId(), now)])).toEqual([{ state: 'advanced' }]);
        expect(await registry.advanceFamilies([step(newRandomId(), now)])).toEqual([{ state: 'limited' }]);
      });

      test('is evicted before an older token in use, which then stays', async () => {
        await register(entry('old', { iat: now - 30 }));
        await register(entry('idle', { iat: now - 20 }), {}, idleSince());
        await register(entry('new'), { maxPerSubject: 2 });
        expect(await jtis()).toEqual(['new', 'old']);
      });

      test('counts again once it is registered again', async () => {
        await register(entry('a'), {}, idleSince());
        await register(entry('a'), refusing);
        await register(entry('b'), refusing);
        await expect(register(entry('c'), refusing)).rejects.toMatchObject({ code: 'ERR_TOKEN_LIMIT' });
      });

      test('goes together with thousands of others', async () => {
        const entries = Array.from({ length: 2_500 }, (_, index) => entry(`j${index}`));
        await registry.registerMany(entries.map((one) => ({ sub: 'alice', entry: one, now: idleSince() })));
        for (let jti = 0; jti < 3; jti++) await register(entry(`new${jti}`), { maxPerSubject: 3 });
        expect(await jtis()).toEqual(['new0', 'new1', 'new2']);
      });
    });

    test('counts neither as a token nor as a foreign member', async () => {
      for (const maxPerSubject of [3, 3, 3]) {
        for (const jti of ['a', 'b', 'c']) await register(entry(jti), { maxPerSubject, onLimit: 'refuse' });
      }
      await register(entry('d', { iat: now }), { maxPerSubject: 4 });
      const subjects: ScannedSubject[] = [];
      await registry.scan((some) => void subjects.push(...some), { now, withDetails: true });
      expect(subjects).toMatchObject([{ sub: 'alice', malformed: 0, details: { expired: 0 } }]);
      expect(subjects[0]?.entries).toHaveLength(4);
      expect((await registry.removeEverywhere({}, { now })).removed).toBe(4);
      expect(await registry.list('alice', now)).toEqual([]);
    });
  });
}
