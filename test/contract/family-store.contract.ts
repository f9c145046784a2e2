import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { familyJti } from '../../src/domain/model/family.js';
import { newRandomId } from '../../src/domain/model/random-id.js';
import type { FamilyOutcome, FamilyStep, TokenFamily, TokenRegistry } from '../../src/domain/ports/index.js';
import { listFamilies } from '../../src/domain/registry/list-families.js';
import { registerOne } from '../support/registering.js';
import type { OpenedRegistry } from './token-registry.contract.js';

const GRACE_SECONDS = 1;
const NO_LIMIT = { most: 10_000, above: 10_000 };

export function familyContract(name: string, open: () => Promise<OpenedRegistry>): void {
  describe(`families of refresh tokens: ${name}`, () => {
    let opened: OpenedRegistry;
    let registry: TokenRegistry;
    let now: number;
    let family: string;

    beforeEach(async () => {
      opened = await open();
      registry = opened.registry;
      now = opened.now();
      family = newRandomId();
    });
    afterEach(() => opened.close());

    interface Parts {
      of?: string;
      keyId?: number;
      iat?: number;
      at?: number;
      exp?: number;
      graceSeconds?: number;
      limit?: FamilyStep['family']['limit'];
      others?: Partial<FamilyStep>;
    }

    function step(sub: string, counter: number, parts: Parts = {}): FamilyStep {
      const { of = family, keyId = 1, iat = now + counter, at = now, exp = now + 9_000, others } = parts;
      const { graceSeconds = GRACE_SECONDS, limit = NO_LIMIT } = parts;
      return {
        ...{ sub, entry: { jti: familyJti(of, counter), keyId, iat, exp: iat + 3600 }, now: at },
        family: { startedAt: now, exp, graceSeconds, limit },
        ...others,
      };
    }

    async function advance(sub: string, counter: number, parts: Parts = {}): Promise<FamilyOutcome> {
      const [outcome] = await registry.advanceFamilies([step(sub, counter, parts)]);
      if (outcome === undefined || outcome instanceof Error) throw outcome;
      return outcome;
    }

    async function stateOf(sub: string, counter: number, parts: Parts = {}): Promise<string> {
      return (await advance(sub, counter, parts)).state;
    }

    async function families(sub: string, at = now): Promise<TokenFamily[]> {
      return listFamilies(registry, sub, at);
    }

    async function jtis(sub: string, at = now): Promise<string[]> {
      return (await registry.list(sub, at)).map(({ jti }) => jti);
    }

    test('a family starts with its first token, and advances with each refresh', async () => {
      expect(await advance('alice', 0, { others: { meta: { device: 'phone 😀' } } })).toEqual({
        state: 'advanced',
      });
      const first = { family, counter: 0, keyId: 1, iat: now, startedAt: now, exp: now + 9_000 };
      expect(await families('alice')).toEqual([{ ...first, meta: { device: 'phone 😀' } }]);
      const next = { keyId: 2 ** 30 - 1, exp: now + 9_500 };
      expect(await advance('alice', 1, { ...next, others: { meta: { device: 'phone 😀' } } })).toEqual({
        state: 'advanced',
      });
      expect(await families('alice')).toEqual([
        { ...first, ...next, counter: 1, iat: now + 1, meta: { device: 'phone 😀' } },
      ]);
      expect(await jtis('alice')).toEqual([familyJti(family, 0), familyJti(family, 1)]);
      expect(await families('bob')).toEqual([]);
    });

    test('registers each entry as registerMany does', async () => {
      const user = { status: 'enabled', version: 3, until: now + 60 } as const;
      const { entry } = step('alice', 0);
      await advance('alice', 0, { others: { user, meta: { device: 'tablet' } } });
      expect(await registry.tokenStatus('alice', entry, now)).toEqual({ exp: entry.exp, user });
      expect(await registry.list('alice', now)).toEqual([{ ...entry, meta: { device: 'tablet' } }]);
    });

    test('the same step again within the grace changes nothing, and returns the iat of the first', async () => {
      await advance('alice', 0);
      await advance('alice', 1, { iat: now + 5 });
      expect(await advance('alice', 1, { iat: now + 6, keyId: 2 })).toEqual({
        state: 'replayed',
        iat: now + 5,
      });
      expect(await families('alice')).toMatchObject([{ counter: 1, iat: now + 5, keyId: 1 }]);
      expect(await registry.list('alice', now)).toHaveLength(2);
    });

    test('the same step again after the grace is reused, and changes nothing', async () => {
      await advance('alice', 0);
      await advance('alice', 1);
      await registry.startGrace([{ sub: 'alice', jti: familyJti(family, 1) }], now);
      const later = now + GRACE_SECONDS + 2;
      await opened.until(later);
      expect(await stateOf('alice', 1, { at: later, iat: later })).toBe('reused');
      expect(await families('alice', later)).toMatchObject([{ counter: 1, iat: now + 1 }]);
      expect(await jtis('alice', later)).toEqual([familyJti(family, 0), familyJti(family, 1)]);
      expect(await stateOf('alice', 2, { at: later, iat: later })).toBe('advanced');
    });

    test('a step whose tokens were not returned may be repeated at any time', async () => {
      await advance('alice', 0);
      await advance('alice', 1);
      const later = now + GRACE_SECONDS + 2;
      await opened.until(later);
      expect(await advance('alice', 1, { at: later, iat: later })).toEqual({
        state: 'replayed',
        iat: now + 1,
      });
      expect(await stateOf('alice', 0, { at: later, iat: later })).toBe('reused');
    });

    test('the grace starts once, and only for the last step', async () => {
      await advance('alice', 0, { others: { meta: { device: 'phone' } } });
      await advance('alice', 1, { others: { meta: { device: 'phone' } } });
      const start = (sub: string, counter: number, of = family) =>
        registry.startGrace([{ sub, jti: familyJti(of, counter) }], now);
      for (const counter of [0, 2]) await start('alice', counter);
      await start('bob', 1);
      await start('alice', 1, newRandomId());
      const later = now + GRACE_SECONDS + 2;
      await opened.until(later);
      expect(await stateOf('alice', 1, { at: later })).toBe('replayed');
      await registry.startGrace([{ sub: 'alice', jti: familyJti(family, 1) }], later);
      const last = later + GRACE_SECONDS + 2;
      await opened.until(last);
      await registry.startGrace([{ sub: 'alice', jti: familyJti(family, 1) }], last);
      expect(await stateOf('alice', 1, { at: last })).toBe('reused');
      expect(await families('alice', last)).toMatchObject([{ counter: 1, meta: { device: 'phone' } }]);
      expect(await families('bob', last)).toEqual([]);
    });

    test('a new family beyond the limit removes the oldest by their last token, and keeps all entries', async () => {
      const limit = { most: 3, above: 4 };
      const names = ['d', 'c', 'b', 'a', 'e', 'f'].map((letter) => letter.repeat(22));
      const left = async () =>
        (await families('alice'))
          .map((one) => one.family[0])
          .sort()
          .join('');
      const seen: string[] = [];
      for (const of of names) {
        await advance('alice', 0, { of, iat: now, limit });
        // The first one was refreshed since, so it is not the oldest.
        if (of === names[0]) await advance('alice', 1, { of, iat: now + 1, limit });
        seen.push(await left());
      }
      expect(seen).toEqual(['d', 'cd', 'bcd', 'abcd', 'cde', 'cdef']);
      expect(await jtis('alice')).toHaveLength(7);
      await advance('bob', 0, { limit });
      expect(await families('bob')).toHaveLength(1);
    });

    test('an older step is reused, even within the grace', async () => {
      for (const counter of [0, 1, 2]) await advance('alice', counter);
      expect([await stateOf('alice', 1), await stateOf('alice', 0)]).toEqual(['reused', 'reused']);
      expect(await families('alice')).toMatchObject([{ counter: 2 }]);
    });

    test('with onLimit: refuse, a refresh does not count its session twice, and a refused step changes nothing', async () => {
      const others = { maxPerSubject: 1, onLimit: 'refuse' } as const;
      const other = newRandomId();
      expect(await stateOf('alice', 0, { others })).toBe('advanced');
      expect(await stateOf('alice', 1, { others })).toBe('advanced');
      expect(await stateOf('alice', 0, { of: other, others })).toBe('limited');
      expect(await families('alice')).toMatchObject([{ family, counter: 1 }]);
      expect(await jtis('alice')).toEqual([familyJti(family, 0), familyJti(family, 1)]);

      await registry.remove('alice', { families: [family] }, now);
      expect(await stateOf('alice', 0, { of: other, others })).toBe('advanced');
      expect(await stateOf('bob', 0, { others })).toBe('advanced');
      await registerOne(registry, 'bob', step('bob', 0, { of: other }).entry, { now });
      expect(await stateOf('bob', 1, { others })).toBe('limited');
      expect(await families('bob')).toMatchObject([{ counter: 0 }]);
    });

    test('of 64 concurrent equal steps, one advances and the others return its iat', async () => {
      await advance('alice', 0);
      const steps = Array.from({ length: 64 }, (_, index) => step('alice', 1, { iat: now + index }));
      const outcomes = await Promise.all(
        steps.map(async (one) => (await registry.advanceFamilies([one]))[0]),
      );
      const winner = outcomes.findIndex(
        (outcome) => outcome !== undefined && 'state' in outcome && outcome.state === 'advanced',
      );
      expect(outcomes).toEqual(
        outcomes.map((_, index) =>
          index === winner ? { state: 'advanced' } : { state: 'replayed', iat: now + winner },
        ),
      );
      expect(await jtis('alice', now)).toHaveLength(2);
    });

    test('a step is accepted if the family lacks earlier ones, which a failover lost', async () => {
      await advance('alice', 0);
      expect(await stateOf('alice', 2)).toBe('advanced');
      expect(await stateOf('alice', 1)).toBe('reused');
      expect(await stateOf('alice', 9)).toBe('advanced');
      expect(await families('alice')).toMatchObject([{ counter: 9 }]);
    });

    test('a family that never started or was removed is unknown', async () => {
      expect(await stateOf('alice', 1)).toBe('unknown');
      await advance('alice', 0);
      await registry.remove('alice', { families: [family] }, now);
      expect(await stateOf('alice', 1)).toBe('unknown');
      expect(await families('alice')).toEqual([]);
      expect(await jtis('alice')).toEqual([]);
    });

    test('a family expires with its refresh token, plus the clock tolerance', async () => {
      await advance('alice', 0, { exp: now + 9_000, iat: now });
      const short = newRandomId();
      await advance('alice', 0, { of: short, exp: now + 1 - opened.clockToleranceSeconds });
      const later = now + 2;
      await opened.until(later);
      expect((await families('alice', later)).map((one) => one.family)).toEqual([family]);
      expect(await stateOf('alice', 1, { of: short, at: later, iat: later })).toBe('unknown');
      expect(await stateOf('alice', 1, { at: later, iat: later })).toBe('advanced');
    });

    test('families of one subject and of several are independent', async () => {
      const other = newRandomId();
      const steps = [
        step('alice', 0),
        step('bob', 0),
        step('alice', 0, { of: other }),
        step('alice', 1),
        step('carol', 1),
      ];
      const outcomes = await registry.advanceFamilies(steps);
      expect(outcomes.map((outcome) => outcome instanceof Error || outcome.state)).toEqual([
        ...['advanced', 'advanced', 'advanced', 'advanced', 'unknown'],
      ]);
      expect((await families('alice')).map(({ counter }) => counter).sort()).toEqual([0, 1]);
      expect(await registry.advanceFamilies([])).toEqual([]);
    });

    test('maxPerSubject limits the entries of families too', async () => {
      for (const jti of ['a', 'b', 'c']) {
        await registerOne(registry, 'alice', { jti, keyId: 1, iat: now - 9, exp: now + 60 }, { now });
      }
      await advance('alice', 0, { others: { maxPerSubject: 2 } });
      expect(await jtis('alice')).toEqual(['c', familyJti(family, 0)]);
    });

    describe('remove', () => {
      let other: string;
      beforeEach(async () => {
        other = newRandomId();
        await advance('alice', 0);
        await advance('alice', 1, { keyId: 2 });
        await advance('alice', 0, { of: other, iat: now + 10 });
        await advance('bob', 0, { of: newRandomId() });
        await registerOne(registry, 'alice', { jti: 'a', keyId: 1, iat: now - 9, exp: now + 60 }, { now });
      });

      const names = async () =>
        (await families('alice')).map((one) => (one.family === family ? 'one' : 'other')).sort();

      test('by family removes that family and its entries', async () => {
        expect(await registry.remove('alice', { families: [family] }, now)).toMatchObject({
          removed: 2,
          families: 1,
        });
        expect([await names(), await jtis('alice')]).toEqual([['other'], ['a', familyJti(other, 0)]]);
        expect(await registry.remove('alice', { families: [family] }, now)).toMatchObject({
          removed: 0,
          families: 0,
        });
      });

      test('by several families removes them and their entries at once', async () => {
        const families = [family, other, newRandomId()];
        expect(await registry.remove('alice', { families }, now)).toMatchObject({ removed: 3, families: 2 });
        expect([await names(), await jtis('alice')]).toEqual([[], ['a']]);
      });

      test('by jti leaves families', async () => {
        expect(await registry.remove('alice', { jti: familyJti(family, 1) }, now)).toMatchObject({
          ...{ removed: 1, families: 0 },
        });
        expect(await names()).toEqual(['one', 'other']);
      });

      test('by key removes families whose last token has that key', async () => {
        expect(await registry.remove('alice', { keyId: 2 }, now)).toMatchObject({ removed: 1, families: 1 });
        expect(await names()).toEqual(['other']);
      });

      test('by key and time removes families whose last token has that key, and was issued by then', async () => {
        const ending = (issuedBefore: number) => registry.remove('alice', { keyId: 2, issuedBefore }, now);
        expect(await ending(now)).toMatchObject({ removed: 0, families: 0 });
        expect(await ending(now + 1)).toMatchObject({ removed: 1, families: 1 });
        expect(await names()).toEqual(['other']);
      });

      test('except a family keeps it and its entries, and except a token keeps that one', async () => {
        expect(await registry.remove('alice', { except: family, issuedBefore: now + 60 }, now)).toMatchObject(
          {
            ...{ removed: 2, families: 1 },
          },
        );
        expect([await names(), await jtis('alice')]).toEqual([
          ['one'],
          [familyJti(family, 0), familyJti(family, 1)],
        ]);
        await registerOne(registry, 'alice', { jti: 'a', keyId: 1, iat: now - 9, exp: now + 60 }, { now });
        expect(await registry.remove('alice', { except: 'a' }, now)).toMatchObject({
          removed: 2,
          families: 1,
        });
        expect([await names(), await jtis('alice')]).toEqual([[], ['a']]);
      });

      test('except a text that is the start of a jti keeps nothing', async () => {
        await registerOne(registry, 'alice', { jti: 'a.0', keyId: 1, iat: now, exp: now + 60 }, { now });
        await registry.remove('alice', { except: 'a.' }, now);
        expect(await jtis('alice')).toEqual([]);
      });

      test('by time removes families that started by then', async () => {
        const before = await registry.remove('alice', { issuedBefore: now - 1 }, now);
        expect(before).toMatchObject({ removed: 1, families: 0 });
        expect(await registry.remove('alice', { issuedBefore: now }, now)).toMatchObject({
          ...{ removed: 1, families: 2 },
        });
        expect([await names(), await families('bob')]).toEqual([[], [expect.anything()]]);
      });

      test('of everything removes all families, also of a subject without entries', async () => {
        expect(await registry.remove('alice', {}, now)).toMatchObject({ removed: 4, families: 2 });
        await advance('carol', 0, { of: newRandomId() });
        await registry.removeEntries([{ sub: 'carol', entries: await registry.list('carol', now) }], now);
        expect([await jtis('carol'), (await families('carol')).length]).toEqual([[], 1]);
        expect(await registry.remove('carol', {}, now)).toMatchObject({ removed: 0, families: 1 });
        expect([await names(), await families('carol')]).toEqual([[], []]);
      });

      test('of families alone leaves entries', async () => {
        expect(await registry.remove('alice', { familiesOnly: true }, now)).toMatchObject({
          ...{ removed: 0, families: 2 },
        });
        expect([await names(), (await jtis('alice')).length]).toEqual([[], 4]);
      });

      test('everywhere removes families of all subjects, also without entries', async () => {
        await registry.removeEntries([{ sub: 'bob', entries: await registry.list('bob', now) }], now);
        expect(await families('bob')).toHaveLength(1);
        const removal = await registry.removeEverywhere({}, { now });
        expect(removal).toMatchObject({ matched: 4, removed: 4, subjects: 1, complete: true });
        expect([await families('alice'), await families('bob')]).toEqual([[], []]);
      });

      test('everywhere applies the filter to families', async () => {
        await registry.removeEverywhere({ keyId: 2 }, { now });
        expect([await names(), (await families('bob')).length]).toEqual([['other'], 1]);
        await registry.removeEverywhere({ familiesOnly: true }, { now });
        expect([await names(), await families('bob')]).toEqual([[], []]);
        expect(await jtis('alice')).toHaveLength(3);
      });
    });

    test('families are no entries of a scan, and are not counted', async () => {
      await advance('alice', 0);
      await advance('bob', 0, { of: newRandomId() });
      await registry.removeEntries([{ sub: 'bob', entries: await registry.list('bob', now) }], now);
      for (const withDetails of [false, true]) {
        const subs: Array<[string, number]> = [];
        await registry.scan(
          (portion) =>
            void subs.push(...portion.map(({ sub, entries }): [string, number] => [sub, entries.length])),
          { now, withDetails },
        );
        expect({ withDetails, subs }).toEqual({ withDetails, subs: [['alice', 1]] });
      }
    });

    test('many families of a subject are listed and removed', async () => {
      const steps = Array.from({ length: 1_500 }, (_, index) =>
        step('alice', 0, { of: newRandomId(), iat: now + (index % 9) }),
      );
      await registry.advanceFamilies(steps);
      const listed = await families('alice');
      expect(new Set(listed.map((one) => one.family)).size).toBe(1_500);
      expect(await registry.remove('alice', { keyId: 1 }, now)).toMatchObject({
        removed: 1_500,
        families: 1_500,
      });
      expect(await families('alice')).toEqual([]);
    });
  });
}
