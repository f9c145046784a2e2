import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { legacyId } from '../../src/domain/model/legacy-id.js';
import type {
  KnownUserStatus,
  ListOptions,
  RegistryEntry,
  ScannedSubject,
  StatusReader,
  TokenRegistry,
  WalkProgress,
} from '../../src/domain/ports/index.js';
import { countMatching } from '../../src/domain/registry/count-matching.js';
import { registerOne } from '../support/registering.js';

export interface OpenedRegistry {
  /** Empty, with a prefix of its own. */
  registry: TokenRegistry;
  /** Close to the real time for an engine that expires by its own clock. */
  now(): number;
  clockToleranceSeconds: number;
  /** Resolves once the engine's clock, if it has one, has reached `time`. */
  until(time: number): Promise<void>;
  close(): Promise<void>;
}

export function tokenRegistryContract(name: string, open: () => Promise<OpenedRegistry>): void {
  describe(`token registry: ${name}`, () => {
    let opened: OpenedRegistry;
    let registry: TokenRegistry;
    let now: number;

    beforeEach(async () => {
      opened = await open();
      registry = opened.registry;
      now = opened.now();
    });
    afterEach(() => opened.close());

    function entry(jti: string, parts: Partial<RegistryEntry> = {}): RegistryEntry {
      return { jti, keyId: 1, iat: now - 10, exp: now + 3600, ...parts };
    }

    function status(parts: Partial<KnownUserStatus> = {}): KnownUserStatus {
      return { status: 'enabled', version: 1, until: now + 60, ...parts };
    }

    async function register(sub: string, ...entries: RegistryEntry[]): Promise<void> {
      for (const one of entries) await registerOne(registry, sub, one, { now });
    }

    async function jtis(sub: string, at = now): Promise<string[]> {
      return (await registry.list(sub, at)).map(({ jti }) => jti);
    }

    async function userOf(sub: string, at = now): Promise<string | null> {
      const { user } = await registry.tokenStatus(sub, { jti: 'any', keyId: 1, iat: 1 }, at);
      return user?.status ?? null;
    }

    async function scanned(at = now, options = {}): Promise<ScannedSubject[]> {
      const subjects: ScannedSubject[] = [];
      const onSubjects = (portion: readonly ScannedSubject[]) => void subjects.push(...portion);
      const outcome = await registry.scan(onSubjects, { now: at, ...options });
      expect(outcome).toMatchObject({ complete: true, missed: [] });
      return subjects;
    }

    describe('openStatusReader', () => {
      let statusReader: StatusReader;
      beforeEach(() => {
        statusReader = registry.openStatusReader({ nearCache: false, now: opened.now });
      });
      afterEach(() => statusReader.close());

      test('reads the current status of a token and its user each time', async () => {
        const query = statusReader.of('alice', entry('a'));
        expect(await query.read()).toMatchObject({ exp: null, user: null, lease: null });
        await registerOne(registry, 'alice', entry('a'), { now, user: status() });
        expect(await query.read()).toMatchObject({ exp: now + 3600, user: status(), lease: null });
        await registry.setUserStatus('alice', status({ status: 'disabled', version: 2 }), now);
        expect(await query.read()).toMatchObject({ user: status({ status: 'disabled', version: 2 }) });
        await registry.remove('alice', {}, now);
        expect(await query.read()).toMatchObject({ exp: null, user: null });
      });

      test('returns expired entries and statuses too', async () => {
        const old = entry('a', { exp: now + 1 });
        await registerOne(registry, 'alice', old, { now, user: status({ until: now + 1 }) });
        expect(await statusReader.of('alice', old).read()).toMatchObject({
          ...{ exp: now + 1, user: { status: 'enabled', until: now + 1 } },
        });
      });

      test('answers many concurrent queries by jti, key, and iat', async () => {
        const subs = Array.from({ length: 300 }, (_, index) => `user-${index}`);
        await registry.registerMany(subs.map((sub, index) => ({ sub, entry: entry(`j${index}`), now })));
        const reads = subs.flatMap((sub, index) => [
          statusReader.of(sub, entry(`j${index}`)).read(),
          statusReader.of(sub, entry(`j${index}`, { keyId: 2 })).read(),
          statusReader.of(sub, entry(`j${index}`, { iat: now })).read(),
        ]);
        const exps = (await Promise.all(reads)).map(({ exp }) => exp);
        expect(exps).toEqual(subs.flatMap(() => [now + 3600, null, null]));
      });

      test('accepts any characters in a subject and a jti', async () => {
        for (const [sub, jti] of [
          ['a}b{c', '{x}'],
          ['é😀', '😀.1'],
          ['*', '!s'],
          ['a%7Db', 'x y'],
        ] as const) {
          await register(sub, entry(jti));
          expect(await statusReader.of(sub, entry(jti)).read(), sub).toMatchObject({ exp: now + 3600 });
        }
      });
    });

    describe('register and tokenStatus', () => {
      test('returns the exp of a registered token', async () => {
        await register('alice', entry('a'));
        expect(await registry.tokenStatus('alice', entry('a'), now)).toEqual({ exp: now + 3600, user: null });
      });

      test('returns null for a token that is not registered', async () => {
        await register('alice', entry('a'));
        const nothing = { exp: null, user: null };
        expect(await registry.tokenStatus('alice', entry('b'), now)).toEqual(nothing);
        expect(await registry.tokenStatus('bob', entry('a'), now)).toEqual(nothing);
      });

      test('identifies an entry by jti, key, and iat together', async () => {
        await register('alice', entry('a'), entry('a', { keyId: 2, exp: now + 60 }));
        expect((await registry.tokenStatus('alice', entry('a', { keyId: 2 }), now)).exp).toBe(now + 60);
        expect((await registry.tokenStatus('alice', entry('a', { keyId: 3 }), now)).exp).toBeNull();
        expect((await registry.tokenStatus('alice', entry('a', { iat: now - 9 }), now)).exp).toBeNull();
        expect(await registry.list('alice', now)).toHaveLength(2);
      });

      test('registering the same entry again changes nothing', async () => {
        await registerOne(registry, 'alice', entry('a'), { now, meta: { device: 'phone' } });
        await register('alice', entry('b', { iat: now }));
        const again = { now, meta: { device: 'car' }, maxPerSubject: 2 };
        await registerOne(registry, 'alice', entry('a'), again);
        expect(await registry.list('alice', now)).toEqual([
          { ...entry('a'), meta: { device: 'phone' } },
          { ...entry('b', { iat: now }), meta: null },
        ]);
      });

      test('an entry expires at its exp plus the clock tolerance', async () => {
        await register('alice', entry('a', { exp: now + 60 }));
        const end = now + 60 + opened.clockToleranceSeconds;
        expect((await registry.tokenStatus('alice', entry('a'), end - 1)).exp).toBe(now + 60);
        expect((await registry.tokenStatus('alice', entry('a'), end)).exp).toBeNull();
      });

      test('keeps any jti unchanged', async () => {
        const odd = [
          'a.b.c',
          '!s',
          '!v',
          '{x}',
          'o\'brien"; --',
          '1.2.3',
          '😀'.repeat(20),
          'x'.repeat(200),
          ' ',
        ];
        await register('alice', ...odd.map((jti) => entry(jti)));
        expect((await jtis('alice')).sort()).toEqual([...odd].sort());
        for (const jti of odd) {
          expect((await registry.tokenStatus('alice', entry(jti), now)).exp, jti).toBe(now + 3600);
        }
      });

      test('lists the first entries, or those with given IDs', async () => {
        await register(
          'alice',
          entry('c', { iat: now - 3 }),
          entry('b', { iat: now - 1, exp: now + 60 }),
          entry('a'),
        );
        const listed = async (options: ListOptions) =>
          (await registry.list('alice', now, options)).map(({ jti }) => jti);
        expect(await listed({})).toEqual(['a', 'c', 'b']);
        expect(await listed({ limit: 2 })).toEqual(['a', 'c']);
        expect(await listed({ jtis: ['b', 'x'] })).toEqual(['b']);
        expect(await listed({ jtis: [] })).toEqual([]);
      });

      test('keeps 50 concurrent registrations of one subject', async () => {
        const entries = Array.from({ length: 50 }, (_, index) => entry(`j${index}`));
        await Promise.all(entries.map((one) => registerOne(registry, 'alice', one, { now })));
        expect(await registry.list('alice', now)).toHaveLength(50);
      });
    });

    describe('maxPerSubject', () => {
      test('removes the oldest entries by iat', async () => {
        await register(
          'alice',
          entry('b', { iat: now - 20 }),
          entry('c', { iat: now - 30 }),
          entry('a', { iat: now - 5 }),
        );
        await registerOne(registry, 'alice', entry('d', { iat: now }), { now, maxPerSubject: 2 });
        expect(await jtis('alice')).toEqual(['a', 'd']);
      });

      test('never removes the new entry, even if it is the oldest', async () => {
        await register('alice', entry('z'));
        await registerOne(registry, 'alice', entry('a'), { now, maxPerSubject: 1 });
        expect(await jtis('alice')).toEqual(['a']);
        await registerOne(registry, 'alice', entry('b', { iat: now - 100 }), { now, maxPerSubject: 1 });
        expect(await jtis('alice')).toEqual(['b']);
      });

      test('removes entries with the same iat by the bytes of the jti, then by key id', async () => {
        const [second, first] = [entry('x', { keyId: 2, exp: now + 60 }), entry('x', { keyId: 1 })];
        await register('alice', entry('y', { exp: now + 30 }), second, first, entry('Z'));
        await registerOne(registry, 'alice', entry('new', { iat: now }), { now, maxPerSubject: 3 });
        const left = (await registry.list('alice', now)).map(({ jti, keyId }) => `${jti} ${keyId}`);
        expect(left).toEqual(['x 2', 'y 1', 'new 1']);
      });

      test('does not count statuses, other subjects, or expired entries', async () => {
        const later = now + 2;
        const exp = later - opened.clockToleranceSeconds;
        await registerOne(registry, 'alice', entry('old', { exp }), { now, user: status() });
        await register('bob', entry('b'));
        await opened.until(later);
        const options = { now: later, user: status(), maxPerSubject: 2 };
        await registerOne(registry, 'alice', entry('a', { iat: later }), options);
        await registerOne(registry, 'alice', entry('c', { iat: later }), options);
        expect(await jtis('alice', later)).toEqual(['a', 'c']);
        expect(await jtis('bob')).toEqual(['b']);
      });

      test.each([
        { maximum: 3, count: 3_200, exp: 30 },
        { maximum: 1_000, count: 1_001, exp: 9_999 },
        { maximum: 700, count: 2_000, exp: 30 },
        { maximum: 1_500, count: 3_000, exp: 30 },
      ])('keeps the newest $maximum of $count', async ({ maximum, count, exp }) => {
        const entries = Array.from({ length: count }, (_, index) =>
          // The order by exp differs from the order by iat.
          entry(`j${index}`, { iat: now - 9_999 + index, exp: now + 60 - (index % 50) }),
        );
        const registrations = entries.map((one) => ({
          ...{ sub: 'alice', entry: one, now, meta: { device: `meta ${one.jti}` }, user: status() },
        }));
        await registry.registerMany(registrations);
        const old = entry('old', { iat: now - 99_999, exp: now + exp });
        await registerOne(registry, 'alice', old, { now, user: status(), maxPerSubject: maximum });
        const kept = entries.slice(entries.length - maximum + 1);

        expect(await registry.list('alice', now)).toEqual([
          { ...old, meta: null },
          ...kept.map((one) => ({ ...one, meta: { device: `meta ${one.jti}` } })),
        ]);
        expect(await userOf('alice')).toBe('enabled');
      });
    });

    describe('onLimit: refuse', () => {
      const refusing = { maxPerSubject: 2, onLimit: 'refuse' } as const;
      const add = async (sub: string, ...entries: RegistryEntry[]) => {
        const registrations = entries.map((one) => ({ sub, entry: one, now, ...refusing }));
        const outcomes = await registry.registerMany(registrations);
        return outcomes.map((outcome) => (outcome instanceof Error ? outcome.code : outcome));
      };

      test('refuses a new entry beyond the maximum, and removes none', async () => {
        const entries = ['a', 'b', 'c', 'd'].map((jti) => entry(jti));
        expect(await add('alice', ...entries)).toEqual([
          'added',
          'added',
          'ERR_TOKEN_LIMIT',
          'ERR_TOKEN_LIMIT',
        ]);
        expect(await add('alice', entry('e'))).toEqual(['ERR_TOKEN_LIMIT']);
        expect(await add('bob', entry('e'))).toEqual(['added']);
        expect(await jtis('alice')).toEqual(['a', 'b']);
        await registry.remove('alice', { jti: 'a' }, now);
        expect(await add('alice', entry('e'), entry('f'))).toEqual(['added', 'ERR_TOKEN_LIMIT']);
      });

      test('neither stores meta nor caches a status for a refused entry', async () => {
        await register('alice', entry('a'), entry('b'));
        const [outcome] = await registry.registerMany([
          { sub: 'alice', entry: entry('c'), now, user: status(), meta: { device: 'phone' }, ...refusing },
        ]);
        expect(outcome).toMatchObject({ code: 'ERR_TOKEN_LIMIT' });
        expect([await jtis('alice'), await userOf('alice')]).toEqual([['a', 'b'], null]);
      });

      test('registers a live entry again, and counts no expired ones', async () => {
        const later = now + 2;
        const old = entry('old', { exp: later - opened.clockToleranceSeconds });
        await register('alice', old, entry('a'));
        expect(await add('alice', entry('a'), old)).toEqual(['known', 'known']);
        await opened.until(later);
        const one = { sub: 'alice', entry: entry('b'), now: later, ...refusing };
        expect(await registry.registerMany([one])).toEqual(['added']);
        expect(await jtis('alice', later)).toEqual(['a', 'b']);
      });

      test('counts the tokens of a session once', async () => {
        const [one, other] = ['a'.repeat(22), 'b'.repeat(22)];
        await register('alice', entry(`${one}.0`), entry(`${one}.1`), entry(`${other}.7`));
        expect(await add('alice', entry(`${one}.2`), entry(`${other}.8`))).toEqual(['added', 'added']);
        expect(await add('alice', entry('c'), entry(`${'c'.repeat(22)}.0`))).toEqual([
          ...['ERR_TOKEN_LIMIT', 'ERR_TOKEN_LIMIT'],
        ]);
      });

      test('admits as many of 50 concurrent registrations as there may be', async () => {
        const codes = await Promise.all(
          Array.from({ length: 50 }, (_, index) => add('alice', entry(`j${index}`))),
        );
        expect(codes.flat().filter((code) => code === 'added')).toHaveLength(2);
        expect(await jtis('alice')).toHaveLength(2);
      });

      test('finds the end of a session with more tokens than the maximum', async () => {
        const family = 'a'.repeat(22);
        const many = Array.from({ length: 2_500 }, (_, index) => entry(`${family}.${index}`));
        await registry.registerMany(many.map((one) => ({ sub: 'alice', entry: one, now })));
        await register('alice', entry('z', { exp: now + 9_999 }));
        expect(await add('alice', entry('b'))).toEqual(['ERR_TOKEN_LIMIT']);
        expect(await add('alice', entry(`${family}.2500`))).toEqual(['added']);
      });
    });

    describe('registerMany', () => {
      test('registers entries of many subjects', async () => {
        const many = Array.from({ length: 700 }, (_, index) => ({
          sub: `user-${index % 300}`,
          entry: entry(`j${index}`, { iat: now - (index % 7), keyId: 1 + (index % 3) }),
          now,
          user: status({ status: index % 300 === 5 ? 'disabled' : 'enabled' }),
          ...(index % 2 === 0 ? { meta: { device: `device ${index}` } } : {}),
        }));
        expect(await registry.registerMany(many)).toEqual(many.map(() => 'added'));
        for (const { sub, entry: one, meta = null } of many) {
          expect(await registry.list(sub, now)).toContainEqual({ ...one, meta });
        }
        expect((await scanned()).flatMap(({ entries }) => entries)).toHaveLength(700);
        expect([await userOf('user-4'), await userOf('user-5')]).toEqual(['enabled', 'disabled']);
      });

      test('accepts an empty list', async () => {
        expect(await registry.registerMany([])).toEqual([]);
      });

      test('registering the same entries again changes nothing', async () => {
        const described = { sub: 'alice', entry: entry('a'), now, meta: { device: 'phone' } };
        const other = { sub: 'alice', entry: entry('b'), now };
        expect(await registry.registerMany([described, other])).toEqual(['added', 'added']);
        const again = [{ ...described, meta: { device: 'car' } }, described];
        expect(await registry.registerMany(again)).toEqual(['known', 'known']);
        expect(await registry.list('alice', now)).toEqual([
          { ...entry('a'), meta: { device: 'phone' } },
          { ...entry('b'), meta: null },
        ]);
      });

      test('tells which entries are new, of one subject and of many', async () => {
        await register('alice', entry('a'), entry(legacyId('c')));
        await register('bob', entry('a'));
        const registrations = [
          ['alice', entry('b')],
          ['bob', entry('a')],
          ['alice', entry('a')],
          ['alice', entry(legacyId('c'), { iat: now - 5 })],
          ['carol', entry('a')],
          ['alice', entry(legacyId('d'))],
          ['alice', entry('b')],
        ] as const;
        expect(
          await registry.registerMany(registrations.map(([sub, one]) => ({ sub, entry: one, now }))),
        ).toEqual(['added', 'known', 'known', 'known', 'added', 'added', 'known']);
      });

      test('calls an entry new that takes several calls to make room for', async () => {
        const old = Array.from({ length: 3_200 }, (_, index) =>
          entry(`j${index}`, { iat: now - 9_999 + index }),
        );
        await registry.registerMany(old.map((one) => ({ sub: 'alice', entry: one, now })));
        const limited = ['b', 'j3199'].map((jti) => old.find((one) => one.jti === jti) ?? entry(jti));
        const registrations = limited.map((one) => ({ sub: 'alice', entry: one, now, maxPerSubject: 3 }));
        expect(await registry.registerMany(registrations)).toEqual(['added', 'known']);
        expect(await jtis('alice')).toEqual(['j3198', 'j3199', 'b']);
      });

      test('applies maxPerSubject in the order of the registrations', async () => {
        const limited = (jti: string, age: number) => {
          return { sub: 'alice', entry: entry(jti, { iat: now - age }), now, maxPerSubject: 2 };
        };
        // In order: c; c and b; a replaces b; d replaces a.
        await registry.registerMany([limited('c', 5), limited('b', 9), limited('a', 7), limited('d', 8)]);
        expect(await jtis('alice')).toEqual(['d', 'c']);
        // A removed entry that is registered again has no meta: f replaces b, and b replaces f.
        const old = { ...limited('b', 9), meta: { device: 'phone' } };
        await registry.registerMany([limited('e', 1), old, limited('f', 3), limited('b', 9)]);
        expect(await registry.list('alice', now)).toEqual([
          { ...entry('b', { iat: now - 9 }), meta: null },
          { ...entry('e', { iat: now - 1 }), meta: null },
        ]);
      });

      test('gives the same result for 400 entries of one subject as one by one', async () => {
        const many = Array.from({ length: 400 }, (_, index) => ({
          // Some come again, even after they were removed.
          entry: entry(`j${(index * 7) % 23}`, { iat: now - ((index * 7) % 23) }),
          now: index < 390 ? now : now + 1,
          user: status({ version: index % 5 }),
          ...(index % 3 === 0 ? { meta: { device: `meta ${index}` } } : {}),
          ...(index % 4 === 3 ? {} : { maxPerSubject: 3 + (index % 4) }),
        }));
        await registry.registerMany(many.map((one) => ({ sub: 'alice', ...one })));
        for (const { entry: one, ...options } of many) await registerOne(registry, 'bob', one, options);
        expect(await registry.list('alice', now)).toEqual(await registry.list('bob', now));
        expect(await registry.list('alice', now)).not.toEqual([]);
      });

      test('never overwrites a newer status with an older one', async () => {
        const newer = { user: status({ version: 2, status: 'disabled' }) };
        await registry.registerMany([
          { sub: 'alice', entry: entry('a'), now, ...newer },
          { sub: 'alice', entry: entry('b'), now, user: status({ version: 1 }) },
        ]);
        expect(await userOf('alice')).toBe('disabled');
      });
    });

    describe('list', () => {
      test('returns live entries, oldest first by iat and then jti', async () => {
        await register(
          'alice',
          entry('c', { iat: now - 1 }),
          entry('b', { iat: now - 3 }),
          entry('a', { iat: now - 3 }),
          entry('short', { iat: now - 9, exp: now + 60 }),
        );
        expect(await jtis('alice')).toEqual(['short', 'a', 'b', 'c']);
        expect(await jtis('alice', now + 60 + opened.clockToleranceSeconds)).toEqual(['a', 'b', 'c']);
        expect(await registry.list('unknown', now)).toEqual([]);
      });

      test('returns meta with its entry', async () => {
        await registerOne(registry, 'alice', entry('a', { iat: now - 3 }), {
          now,
          meta: { device: 'phone, 192.0.2.1' },
        });
        await registerOne(registry, 'alice', entry('b', { iat: now - 2 }), { now });
        await registerOne(registry, 'alice', entry('c', { iat: now - 1 }), {
          now,
          meta: { device: '老 {*} "x"' },
        });
        expect((await registry.list('alice', now)).map(({ meta }) => meta?.device ?? null)).toEqual([
          'phone, 192.0.2.1',
          null,
          '老 {*} "x"',
        ]);
      });

      test('removes meta with its entry', async () => {
        await registerOne(registry, 'alice', entry('a'), { now, meta: { device: 'phone' } });
        await register('alice', entry('b'));
        await registry.remove('alice', { jti: 'a' }, now);
        await register('alice', entry('a'));
        expect((await registry.list('alice', now)).map(({ meta }) => meta)).toEqual([null, null]);
      });
    });

    describe('the status of a user', () => {
      test('is cached by register until its time is over', async () => {
        await registerOne(registry, 'alice', entry('a'), { now, user: status() });
        expect(await registry.tokenStatus('alice', entry('a'), now)).toEqual({
          exp: now + 3600,
          user: status(),
        });
        expect(await userOf('alice', now + 59)).toBe('enabled');
        expect(await userOf('alice', now + 60)).toBeNull();
      });

      test('is cached by setUserStatus until its time is over', async () => {
        await register('alice', entry('a'));
        await registry.setUserStatus('alice', status({ status: 'disabled' }), now);
        expect(await userOf('alice', now + 59)).toBe('disabled');
        expect(await userOf('alice', now + 60)).toBeNull();
        expect((await registry.tokenStatus('alice', entry('a'), now)).exp).toBe(now + 3600);
      });

      test('an older version never overwrites a newer one', async () => {
        await registerOne(registry, 'alice', entry('a'), {
          now,
          user: status({ version: 2, status: 'disabled' }),
        });
        await registry.setUserStatus('alice', status({ version: 1 }), now);
        await registerOne(registry, 'alice', entry('b'), { now, user: status({ version: 1 }) });
        expect(await userOf('alice')).toBe('disabled');
        await registry.setUserStatus('alice', status({ version: 3 }), now);
        expect(await userOf('alice')).toBe('enabled');
      });

      test('an older version has no effect even after the newer status has expired', async () => {
        await registerOne(registry, 'alice', entry('a'), { now, user: status({ version: 2 }) });
        const later = now + 120;
        await registerOne(registry, 'alice', entry('b'), {
          now: later,
          user: status({ version: 1, until: later + 60 }),
        });
        expect(await userOf('alice', later)).toBeNull();
      });

      test('is cached again by the next registration after it expired', async () => {
        await registerOne(registry, 'alice', entry('a'), { now, user: status() });
        const later = now + 600;
        const user = status({ until: later + 60 });
        await registerOne(registry, 'alice', entry('b'), { now: later, user });
        expect(await userOf('alice', later)).toBe('enabled');
        await registry.setUserStatus('alice', status({ until: later + 900 }), later + 300);
        expect(await userOf('alice', later + 300)).toBe('enabled');
      });

      test('is renewed by the same version', async () => {
        await registerOne(registry, 'alice', entry('a'), { now, user: status() });
        expect(await registry.setUserStatus('alice', status({ until: now + 90 }), now)).toBeNull();
        expect(await userOf('alice', now + 89)).toBe('enabled');
      });

      test('a higher cached version is returned, and replaced only if the caller names it', async () => {
        const above = Number.MAX_SAFE_INTEGER;
        await registerOne(registry, 'alice', entry('a'), { now, user: status({ version: above }) });
        const disabled = status({ version: 2, status: 'disabled' });
        expect(await registry.setUserStatus('alice', disabled, now)).toBe(above);
        expect(await registry.setUserStatus('alice', disabled, now, above - 1)).toBe(above);
        expect(await userOf('alice')).toBe('enabled');
        expect(await registry.setUserStatus('alice', disabled, now, above)).toBeNull();
        expect(await userOf('alice')).toBe('disabled');
        expect(await registry.setUserStatus('unknown', disabled, now)).toBeNull();
      });

      test('is not an entry, and does not extend the subject’s expiry', async () => {
        await registerOne(registry, 'alice', entry('a', { exp: now + 60 }), {
          now,
          user: status({ until: now + 9999 }),
        });
        expect(await jtis('alice')).toEqual(['a']);
        expect(await scanned()).toMatchObject([{ entries: [{ jti: 'a' }], malformed: 0 }]);
        expect(await scanned(now + 60 + opened.clockToleranceSeconds)).toEqual([]);
      });

      test('is not cached for a subject without entries', async () => {
        await registry.setUserStatus('alice', status({ version: 7 }), now);
        expect(await userOf('alice')).toBeNull();
        await registerOne(registry, 'alice', entry('a'), { now, user: status({ version: 1 }) });
        expect(await userOf('alice')).toBe('enabled');
      });
    });

    describe('remove', () => {
      beforeEach(async () => {
        await register(
          'alice',
          entry('a', { iat: now - 30, keyId: 1 }),
          entry('b', { iat: now - 20, keyId: 2 }),
          entry('b', { iat: now - 10, keyId: 1 }),
        );
        await register('bob', entry('a'));
      });

      test.each([
        { filter: {}, removed: 3, left: [] },
        { filter: { jti: 'b' }, removed: 2, left: ['a'] },
        { filter: { keyId: 1 }, removed: 2, left: ['b'] },
        { filter: { jti: 'b', keyId: 1 }, removed: 1, left: ['a', 'b'] },
        { filter: { jti: 'c' }, removed: 0, left: ['a', 'b', 'b'] },
        { filter: { jti: '' }, removed: 0, left: ['a', 'b', 'b'] },
      ])('removes only entries that match $filter', async ({ filter, removed, left }) => {
        const removal = await registry.remove('alice', filter, now);
        expect(removal.removed).toBe(removed);
        if (removed === 0) expect(removal.replicasConfirmed).toBeNull();
        expect(await jtis('alice')).toEqual(left);
        expect(await jtis('bob')).toEqual(['a']);
      });

      test('issuedBefore is inclusive', async () => {
        expect((await registry.remove('alice', { issuedBefore: now - 31 }, now)).removed).toBe(0);
        expect((await registry.remove('alice', { issuedBefore: now - 20 }, now)).removed).toBe(2);
        expect(await jtis('alice')).toEqual(['b']);
      });

      test('removing again removes nothing', async () => {
        await registry.remove('alice', {}, now);
        expect(await registry.remove('alice', {}, now)).toEqual({
          removed: 0,
          families: 0,
          replicasConfirmed: null,
        });
      });

      test('does not count expired entries', async () => {
        const later = now + 2;
        await register('carol', entry('a', { exp: later - opened.clockToleranceSeconds }), entry('b'));
        await opened.until(later);
        expect((await registry.remove('carol', {}, later)).removed).toBe(1);
      });

      test('leaves no data of a subject without entries', async () => {
        await registerOne(registry, 'alice', entry('x'), {
          now,
          user: status({ version: 9 }),
          meta: { device: 'phone' },
        });
        await registry.remove('alice', {}, now);
        expect(await userOf('alice')).toBeNull();
        await registerOne(registry, 'alice', entry('x'), { now, user: status({ version: 1 }) });
        expect(await registry.list('alice', now)).toMatchObject([{ jti: 'x', meta: null }]);
        expect(await userOf('alice')).toBe('enabled');
      });
    });

    describe('a legacy token', () => {
      const ID = legacyId('one');
      const OTHER = legacyId('other');

      test('is found by its id, whatever key and iat are asked for', async () => {
        await register('alice', entry(ID, { keyId: 7, iat: now - 3 }), entry('a'));
        const asked = entry(ID, { keyId: 0, iat: 0 });
        expect(await registry.tokenStatus('alice', asked, now)).toMatchObject({ exp: now + 3600 });
        const statusReader = registry.openStatusReader({ nearCache: false, now: opened.now });
        expect(await statusReader.of('alice', asked).read()).toMatchObject({ exp: now + 3600 });
        expect(await statusReader.of('bob', asked).read()).toMatchObject({ exp: null });
        statusReader.close();
      });

      test('tells its key and its iat', async () => {
        await register('alice', entry(ID, { keyId: 7, iat: now - 3 }));
        expect(await registry.findLegacyEntry('alice', ID)).toEqual({ keyId: 7, iat: now - 3 });
        expect(await registry.findLegacyEntry('alice', OTHER)).toBeNull();
        expect(await registry.findLegacyEntry('bob', ID)).toBeNull();
      });

      test('keeps its iat if it is registered again, but not after it was removed', async () => {
        await register('alice', entry(ID, { keyId: 7, iat: now - 30 }), entry('a'));
        await register('alice', entry(ID, { keyId: 7, iat: now - 3 }));
        expect(await registry.findLegacyEntry('alice', ID)).toEqual({ keyId: 7, iat: now - 30 });
        expect(await registry.list('alice', now)).toHaveLength(2);
        await registry.remove('alice', { jti: ID }, now);
        expect(await registry.findLegacyEntry('alice', ID)).toBeNull();
        await register('alice', entry(ID, { keyId: 7, iat: now - 3 }));
        expect(await registry.findLegacyEntry('alice', ID)).toEqual({ keyId: 7, iat: now - 3 });
      });

      test('is listed and scanned with its key and iat, among other entries', async () => {
        const legacy = entry(ID, { keyId: 7, iat: now - 3 });
        await register('alice', legacy);
        await registerOne(registry, 'alice', entry('a', { iat: now - 2 }), {
          now,
          meta: { device: 'phone' },
        });
        expect(await registry.list('alice', now)).toEqual([
          { ...legacy, meta: null },
          { ...entry('a', { iat: now - 2 }), meta: { device: 'phone' } },
        ]);
        for (const options of [{}, { withDetails: true }, { sub: 'alice' }]) {
          const [subject] = await scanned(now, options);
          expect(subject).toMatchObject({ sub: 'alice', malformed: 0 });
          expect(subject?.entries.find(({ jti }) => jti === ID)).toEqual({ ...legacy, meta: null });
          expect(subject?.entries).toHaveLength(2);
        }
      });

      test.each([
        { filter: {}, removed: 3 },
        { filter: { jti: ID }, removed: 1 },
        { filter: { keyId: 7 }, removed: 2 },
        { filter: { keyId: 8 }, removed: 0 },
        { filter: { keyId: 0 }, removed: 0 },
        { filter: { issuedBefore: -20 }, removed: 1 },
        { filter: { issuedBefore: -30 }, removed: 0 },
        { filter: { keyId: 7, issuedBefore: -3 }, removed: 2 },
      ])('is removed, from one subject and from all, by $filter', async ({ filter, removed }) => {
        const { issuedBefore, ...others } = filter as { issuedBefore?: number };
        const selection =
          issuedBefore === undefined ? filter : { ...others, issuedBefore: now + issuedBefore };
        for (const sub of ['alice', 'bob']) {
          await register(
            sub,
            entry(ID, { keyId: 7, iat: now - 20 }),
            entry(OTHER, { keyId: 7, iat: now - 3 }),
            entry('a', { keyId: 1, iat: now }),
          );
        }
        expect(await countMatching(registry, selection, { now })).toMatchObject({ matched: 2 * removed });
        expect(await registry.remove('bob', selection, now)).toMatchObject({ removed });
        const everywhere = await registry.removeEverywhere(selection, { now });
        expect(everywhere).toMatchObject({ matched: removed, removed, complete: true });
        expect(everywhere.byKeyId.reduce((sum, { matched }) => sum + matched, 0)).toBe(removed);
        for (const sub of ['alice', 'bob']) expect(await jtis(sub)).toHaveLength(3 - removed);
      });

      test('is removed by its name', async () => {
        await register('alice', entry(ID, { keyId: 7 }), entry('a'));
        const entries = [entry(ID, { keyId: 7 })];
        expect(await registry.removeEntries([{ sub: 'alice', entries }], now)).toMatchObject({ removed: 1 });
        expect(await jtis('alice')).toEqual(['a']);
        expect(await registry.findLegacyEntry('alice', ID)).toBeNull();
      });

      test('counts for maxPerSubject, by its own iat', async () => {
        await register('alice', entry(ID, { iat: now - 20 }), entry('old', { iat: now - 30 }));
        await registerOne(registry, 'alice', entry('b', { iat: now - 9 }), { now, maxPerSubject: 2 });
        expect(await jtis('alice')).toEqual([ID, 'b']);
        await registerOne(registry, 'alice', entry(OTHER, { iat: now - 5 }), { now, maxPerSubject: 2 });
        expect(await jtis('alice')).toEqual(['b', OTHER]);
        expect(await registry.findLegacyEntry('alice', ID)).toBeNull();
        await registerOne(registry, 'alice', entry(OTHER, { iat: now }), { now, maxPerSubject: 1 });
        expect(await jtis('alice')).toEqual([OTHER]);
      });

      test('expires like any other entry', async () => {
        const later = now + 2;
        const exp = later - opened.clockToleranceSeconds;
        await register('alice', entry(ID, { exp }), entry('a'));
        await opened.until(later);
        expect((await registry.tokenStatus('alice', entry(ID), later)).exp).toBeNull();
        expect(await jtis('alice', later)).toEqual(['a']);
        expect(await scanned(later, { withDetails: true })).toMatchObject([
          { details: { expired: 1 }, malformed: 0 },
        ]);
        await registry.remove('alice', { jti: 'none' }, later);
        await registerOne(registry, 'alice', entry('b'), { now: later });
        expect(await registry.findLegacyEntry('alice', ID)).toBeNull();
      });

      test('works in thousands, of one subject and of many', async () => {
        const own = Array.from({ length: 2_500 }, (_, index) => entry(legacyId(`a${index}`), { keyId: 7 }));
        const others = Array.from({ length: 300 }, (_, index) => ({
          ...{ sub: `user-${index}`, now },
          entry: entry(legacyId(`u${index}`), { keyId: 7 + (index % 2) }),
        }));
        await registry.registerMany([...own.map((one) => ({ sub: 'alice', entry: one, now })), ...others]);
        await register('alice', entry('plain'));
        for (const options of [{}, { withDetails: true }]) {
          const subjects = await scanned(now, options);
          expect(subjects.flatMap(({ entries }) => entries)).toHaveLength(2_801);
          expect(subjects.reduce((sum, { malformed }) => sum + malformed, 0)).toBe(0);
        }
        expect(await registry.removeEverywhere({ keyId: 7 }, { now })).toMatchObject({
          ...{ matched: 2_650, byKeyId: [{ keyId: 7, matched: 2_650 }] },
        });
        expect(await jtis('alice')).toEqual(['plain']);
      });
    });

    describe('the whole registry', () => {
      /** Enough for every master of a cluster. */
      const CROWD = Array.from({ length: 40 }, (_, index) => `user-${index}`);
      const HOSTILE = [
        ...[
          '*',
          '[a-z]',
          '?',
          '{}',
          'a}b{c',
          '{a}',
          '}',
          'a:b',
          'a:meta',
          'meta',
          '../../x',
          'o\'brien"; --',
        ],
        ...[
          '👨‍👩‍👧‍👦',
          'é'.repeat(127),
          'x'.repeat(255),
          'alice ',
          ' alice',
          'Alice',
          'alice',
          'e\u0301',
          '\u00e9',
        ],
        ...['-x', '@alice', '%61lice', '%', '%2A', 'a\\b', '$(id)', '\u00a0', '~', '.'],
      ];

      test('a scan returns every subject once, with its own entries', async () => {
        const subjects = [...HOSTILE, ...CROWD];
        await Promise.all(
          subjects.map((sub, index) => register(sub, entry(`j${index}`), entry(`k${index}`))),
        );
        const seen = await scanned();
        expect(seen.map(({ sub }) => sub).sort()).toEqual([...subjects].sort());
        for (const { sub, entries, malformed, node } of seen) {
          const index = subjects.indexOf(sub);
          expect(entries.map(({ jti }) => jti).sort(), sub).toEqual([`j${index}`, `k${index}`]);
          expect(entries[0]).toMatchObject({ keyId: 1, iat: now - 10, exp: now + 3600 });
          expect(malformed).toBe(0);
          expect(node).not.toBe('');
        }
      });

      test('hostile subjects stay separate in every other operation', async () => {
        for (const [index, sub] of HOSTILE.entries()) await register(sub, entry(`j${index}`));
        for (const [index, sub] of HOSTILE.entries()) {
          expect((await registry.tokenStatus(sub, entry(`j${index}`), now)).exp, sub).toBe(now + 3600);
          expect(await jtis(sub), sub).toEqual([`j${index}`]);
        }
        expect((await registry.remove('*', {}, now)).removed).toBe(1);
        expect((await registry.remove('%61lice', {}, now)).removed).toBe(1);
        expect(await jtis('alice')).toEqual([`j${HOSTILE.indexOf('alice')}`]);
        expect(await scanned()).toHaveLength(HOSTILE.length - 2);
      });

      test('a scan omits expired entries, and subjects without live ones', async () => {
        await register('alice', entry('a', { exp: now + 10 }), entry('b'));
        await register('bob', entry('c', { exp: now + 10 }));
        const later = now + 10 + opened.clockToleranceSeconds;
        expect(await scanned(later)).toMatchObject([{ sub: 'alice', entries: [{ jti: 'b' }] }]);
        expect(await scanned(later - 1)).toHaveLength(2);
      });

      test('a scan of an empty registry is complete and lists its servers', async () => {
        const outcome = await registry.scan(() => expect.unreachable(), { now });
        expect(outcome).toMatchObject({ complete: true, missed: [] });
        expect(outcome.nodes).not.toEqual([]);
      });

      test.each([
        {
          how: 'throws',
          fail: () => {
            throw new Error('the disk is full');
          },
        },
        { how: 'rejects', fail: () => Promise.reject(new Error('the disk is full')) },
      ])('a scan rejects if onSubjects $how', async ({ fail }) => {
        await Promise.all(CROWD.map((sub) => register(sub, entry('a'))));
        let portions = 0;
        const scan = registry.scan(
          () => {
            portions += 1;
            return fail();
          },
          { now },
        );
        await expect(scan).rejects.toThrow('the disk is full');
        expect(portions).toBe(1);
      });

      test('a scan passes one portion at a time, and waits for onSubjects', async () => {
        await Promise.all(CROWD.map((sub) => register(sub, entry('a'))));
        let pending = 0;
        let most = 0;
        const seen: string[] = [];
        const onSubjects = async (portion: readonly ScannedSubject[]) => {
          most = Math.max(most, ++pending);
          // Takes as long as a lookup of each subject in the same store.
          for (const { sub } of portion) await registry.list(sub, now);
          pending -= 1;
          seen.push(...portion.map(({ sub }) => sub));
        };
        expect(await registry.scan(onSubjects, { now })).toMatchObject({ complete: true });
        expect(most).toBe(1);
        expect(seen.sort()).toEqual([...CROWD].sort());
      });

      test('a subject with very many entries comes in parts', async () => {
        const count = 2500;
        await Promise.all(CROWD.slice(0, 20).map((sub) => register(sub, entry('a'))));
        for (let from = 0; from < count; from += 500) {
          await Promise.all(
            Array.from({ length: 500 }, (_, index) => {
              const one = entry(`j${from + index}`, { exp: now + 3600 + (index % 7) });
              return registerOne(registry, 'alice', one, { now, meta: { device: `meta ${from + index}` } });
            }),
          );
        }
        await register('alice', entry('gone', { exp: now + 1 }));
        const at = now + 1 + opened.clockToleranceSeconds;
        for (const withDetails of [false, true]) {
          const subjects = await scanned(at, { withDetails });
          expect(new Set(subjects.map(({ sub }) => sub)).size).toBe(21);
          const parts = subjects.filter(({ sub }) => sub === 'alice');
          for (const [index, part] of parts.entries()) {
            expect(part.isLast).toBe(index === parts.length - 1);
            if (index > 0) expect(part).toMatchObject({ bytes: null, details: null });
          }
          const entries = parts.flatMap((part) => part.entries);
          expect(entries).toHaveLength(count);
          expect(new Set(entries.map(({ jti }) => jti)).size).toBe(count);
          for (const { jti, meta } of entries) {
            expect(meta?.device).toBe(withDetails ? `meta ${jti.slice(1)}` : undefined);
          }
          expect(parts[0]?.details ?? null).toEqual(
            withDetails
              ? { expiresAt: now + 3606 + opened.clockToleranceSeconds, expired: 1, user: null }
              : null,
          );
        }
      });

      test('a scan with details returns meta and the details of each subject', async () => {
        const user = status({ version: 7, status: 'disabled', until: now + 20 });
        await registerOne(registry, 'alice', entry('a', { exp: now + 10 }), {
          now,
          meta: { device: 'phone' },
          user,
        });
        await registerOne(registry, 'alice', entry('b'), { now, meta: { device: 'car' } });
        await register('alice', entry('c', { exp: now + 60 }));
        await registerOne(registry, 'bob', entry('d', { exp: now + 30 }), { now, user: status() });
        const later = now + 30 + opened.clockToleranceSeconds;
        const subjects = await scanned(later, { withDetails: true });
        const [alice, bob] = subjects.sort((a, b) => (a.sub < b.sub ? -1 : 1));
        expect(subjects).toHaveLength(2);
        expect(alice).toMatchObject({
          ...{ sub: 'alice', isLast: true, malformed: 0 },
          details: { expiresAt: now + 3600 + opened.clockToleranceSeconds, expired: 1, user },
        });
        expect(alice?.entries.sort((a, b) => (a.jti < b.jti ? -1 : 1))).toEqual([
          { ...entry('b'), meta: { device: 'car' } },
          { ...entry('c', { exp: now + 60 }), meta: null },
        ]);
        expect(bob).toMatchObject({
          ...{ sub: 'bob', isLast: true, entries: [] },
          details: { expiresAt: later, expired: 1, user: status() },
        });
      });

      test('a scan without details omits meta, and subjects without live entries', async () => {
        await registerOne(registry, 'alice', entry('a'), { now, meta: { device: 'phone' }, user: status() });
        await register('bob', entry('b', { exp: now + 10 }));
        expect(await scanned(now + 10 + opened.clockToleranceSeconds)).toMatchObject([
          { sub: 'alice', entries: [{ jti: 'a', meta: null }], details: null },
        ]);
      });

      test('a scan of one subject returns no other', async () => {
        await registerOne(registry, 'alice', entry('a'), { now, meta: { device: 'phone' }, user: status() });
        await register('alice2', entry('b'));
        await register('bob', entry('c', { exp: now + 10 }));
        const later = now + 10 + opened.clockToleranceSeconds;
        const user = { status: 'enabled', version: 1, until: now + 60 };
        const expiresAt = now + 3600 + opened.clockToleranceSeconds;
        expect(await scanned(later, { withDetails: true, sub: 'alice' })).toMatchObject([
          {
            sub: 'alice',
            entries: [{ jti: 'a', meta: { device: 'phone' } }],
            details: { expiresAt, expired: 0, user },
          },
        ]);
        expect(await scanned(later, { withDetails: true, sub: 'bob' })).toMatchObject([
          { sub: 'bob', entries: [], details: { expiresAt: later, expired: 1, user: null } },
        ]);
        expect(await scanned(later, { sub: 'bob' })).toEqual([]);
        for (const sub of ['unknown', 'alice*', 'al']) expect(await scanned(later, { sub })).toEqual([]);
        const { nodes } = await registry.scan(() => {}, { now, sub: 'unknown' });
        expect(nodes).toHaveLength(1);
      });

      test('a scan of one subject returns thousands of entries, and its memory', async () => {
        const count = 2500;
        for (let from = 0; from < count; from += 500) {
          await register('alice', ...Array.from({ length: 500 }, (_, index) => entry(`j${from + index}`)));
        }
        await register('bob', entry('a'));
        const parts = await scanned(now, { sub: 'alice' });
        expect(new Set(parts.flatMap(({ entries }) => entries.map(({ jti }) => jti))).size).toBe(count);
        expect(parts[0]?.bytes).toBeGreaterThan(count * 20);
      });

      test('a scan reports its progress', async () => {
        await Promise.all(CROWD.map((sub) => register(sub, entry('a'))));
        const told: WalkProgress[] = [];
        await scanned(now, { onProgress: (progress: WalkProgress) => told.push(progress) });
        const unit = registry.backend === 'redis-cluster' ? 'slots' : 'subjects';
        const total = registry.backend === 'redis-cluster' ? 16_384 : null;
        expect(told.length).toBeGreaterThan(0);
        for (const [index, progress] of told.entries()) {
          expect(progress).toMatchObject({ unit, total });
          expect(progress.done).toBeGreaterThanOrEqual(told[index - 1]?.done ?? 0);
        }
        expect(told.at(-1)?.done).toBe(total ?? CROWD.length);
      });

      test('removes entries of one key id from every subject', async () => {
        await Promise.all(
          CROWD.map((sub) => register(sub, entry('a', { keyId: 1 }), entry('b', { keyId: 2 }))),
        );
        const removal = await registry.removeEverywhere({ keyId: 1 }, { now });
        expect(removal).toMatchObject({ matched: 40, removed: 40, subjects: 40, complete: true, missed: [] });
        expect(removal.byNode.reduce((sum, node) => sum + node.removed, 0)).toBe(40);
        expect(removal.byKeyId).toEqual([{ keyId: 1, matched: 40 }]);
        const left = (await scanned()).flatMap(({ entries }) => entries);
        expect(left).toHaveLength(40);
        expect(left.every(({ keyId }) => keyId === 2)).toBe(true);
      });

      test('removes entries up to issuedBefore, and returns the largest iat', async () => {
        await register('alice', entry('a', { iat: now - 30 }), entry('b', { iat: now - 20 }));
        await register('bob', entry('c', { iat: now - 25 }), entry('d', { iat: now - 19 }));
        const removal = await registry.removeEverywhere({ issuedBefore: now - 20 }, { now });
        expect(removal).toMatchObject({ matched: 3, removed: 3, subjects: 2, largestIat: now - 20 });
        expect((await scanned()).flatMap(({ entries }) => entries)).toEqual([
          { ...entry('d', { iat: now - 19 }), meta: null },
        ]);
      });

      test('countMatching counts and removes nothing', async () => {
        await Promise.all(CROWD.map((sub) => register(sub, entry('a'))));
        const removal = await countMatching(registry, {}, { now });
        expect(removal).toMatchObject({
          ...{ matched: 40, removed: 0, subjects: 40, largestIat: now - 10 },
          ...{ replicasConfirmed: null, complete: true },
        });
        expect(removal.byNode.reduce((sum, node) => sum + node.matched, 0)).toBe(40);
        expect(await scanned()).toHaveLength(40);
      });

      test('counts matching entries by key', async () => {
        await Promise.all(CROWD.map((sub) => register(sub, entry('a'), entry('b', { keyId: 2 ** 40 }))));
        await register('alice', entry('c', { keyId: 7 }), entry('d', { keyId: 7, iat: now }));
        const filter = { issuedBefore: now - 1 };
        for (const walk of [
          () => countMatching(registry, filter, { now }),
          () => registry.removeEverywhere(filter, { now }),
        ]) {
          const { byKeyId } = await walk();
          expect(byKeyId.sort((a, b) => a.keyId - b.keyId)).toEqual([
            { keyId: 1, matched: 40 },
            { keyId: 7, matched: 1 },
            { keyId: 2 ** 40, matched: 40 },
          ]);
        }
      });

      test('removes nothing if nothing matches', async () => {
        await register('alice', entry('a'));
        expect(await registry.removeEverywhere({ jti: 'b' }, { now })).toMatchObject({
          ...{ matched: 0, removed: 0, subjects: 0, largestIat: null, byKeyId: [] },
          ...{ replicasConfirmed: null, complete: true },
        });
        expect(await jtis('alice')).toEqual(['a']);
      });

      test('is incomplete if interrupted before the start', async () => {
        await register('alice', entry('a'));
        const signal = AbortSignal.abort();
        expect(await registry.removeEverywhere({}, { now, signal })).toMatchObject({
          removed: 0,
          complete: false,
        });
        const seen: string[] = [];
        const onSubjects = (portion: readonly ScannedSubject[]) =>
          void seen.push(...portion.map(({ sub }) => sub));
        for (const only of [{}, { sub: 'alice' }]) {
          const outcome = await registry.scan(onSubjects, { now, signal, ...only });
          expect(outcome.complete).toBe(false);
          expect(outcome.missed).not.toEqual([]);
        }
        expect(seen).toEqual([]);
        expect(await jtis('alice')).toEqual(['a']);
      });
    });

    test('a scan interrupted between two parts of a subject is incomplete', async () => {
      const entries = Array.from({ length: 2_500 }, (_, index) => entry(`j${index}`));
      await registry.registerMany(entries.map((one) => ({ sub: 'alice', entry: one, now })));
      for (const only of [{}, { sub: 'alice' }]) {
        const controller = new AbortController();
        let seen = 0;
        const onSubjects = (portion: readonly ScannedSubject[]) => {
          seen += portion.flatMap((subject) => subject.entries).length;
          controller.abort();
        };
        const outcome = await registry.scan(onSubjects, { now, signal: controller.signal, ...only });
        expect({ ...only, complete: outcome.complete }).toEqual({ ...only, complete: false });
        expect(outcome.missed).not.toEqual([]);
        expect(seen).toBeLessThan(2_500);
      }
    });

    describe('removeEntries', () => {
      const named = ({ jti, keyId, iat }: RegistryEntry) => ({ jti, keyId, iat });

      test('removes exactly the given entries, and counts existing ones', async () => {
        await register(
          'alice',
          entry('a'),
          entry('b'),
          entry('b', { keyId: 2 }),
          entry('c', { iat: now - 3 }),
        );
        await register('bob', entry('a'), entry('b'));
        const outcome = await registry.removeEntries(
          [
            // 'c' has another iat, and 'x' does not exist.
            { sub: 'alice', entries: [named(entry('b')), named(entry('c')), named(entry('x'))] },
            { sub: 'bob', entries: [named(entry('a'))] },
            { sub: 'unknown', entries: [named(entry('a'))] },
          ],
          now,
        );
        expect(outcome.removed).toBe(2);
        expect(outcome.byNode.reduce((sum, { removed }) => sum + removed, 0)).toBe(2);
        expect(outcome.byNode.every(({ node }) => node !== '')).toBe(true);
        expect(await registry.list('alice', now)).toEqual([
          { ...entry('a'), meta: null },
          { ...entry('b', { keyId: 2 }), meta: null },
          { ...entry('c', { iat: now - 3 }), meta: null },
        ]);
        expect(await jtis('bob')).toEqual(['b']);
        expect(await jtis('unknown')).toEqual([]);
      });

      test('removes nothing for an empty list or missing entries', async () => {
        await register('alice', entry('a'));
        expect(await registry.removeEntries([], now)).toMatchObject({ removed: 0, isCounted: true });
        expect(await registry.removeEntries([{ sub: 'bob', entries: [] }], now)).toMatchObject({
          removed: 0,
        });
        expect(await registry.removeEntries([{ sub: 'alice', entries: [] }], now)).toMatchObject({
          removed: 0,
        });
        expect(await jtis('alice')).toEqual(['a']);
      });

      test('removes expired entries and their meta without counting them', async () => {
        const later = now + 2;
        const exp = later - opened.clockToleranceSeconds;
        await registerOne(registry, 'alice', entry('a', { exp }), { now, meta: { device: 'phone' } });
        await registerOne(registry, 'alice', entry('b'), { now, meta: { device: 'car' } });
        await opened.until(later);
        const entries = [named(entry('a', { exp }))];
        expect((await registry.removeEntries([{ sub: 'alice', entries }], later)).removed).toBe(0);
        expect(await scanned(later, { withDetails: true })).toMatchObject([
          { sub: 'alice', entries: [{ jti: 'b', meta: { device: 'car' } }], details: { expired: 0 } },
        ]);
        await register('alice', entry('a'));
        expect((await registry.list('alice', now)).map(({ meta }) => meta?.device)).toEqual([
          undefined,
          'car',
        ]);
      });

      test('corrects the expiry of the subject to its last entry', async () => {
        const user = status({ version: 3 });
        await registerOne(registry, 'alice', entry('a', { exp: now + 100 }), { now, user });
        await register('alice', entry('b', { exp: now + 300 }));
        await registry.removeEntries([{ sub: 'alice', entries: [named(entry('b'))] }], now);
        expect(await scanned(now, { withDetails: true })).toMatchObject([
          { details: { expiresAt: now + 100 + opened.clockToleranceSeconds, user } },
        ]);
      });

      test('removes all data of the subject with its last entry', async () => {
        await registerOne(registry, 'alice', entry('a'), {
          now,
          user: status({ version: 9 }),
          meta: { device: 'phone' },
        });
        await registry.removeEntries([{ sub: 'alice', entries: [named(entry('a'))] }], now);
        expect(await scanned(now, { withDetails: true })).toEqual([]);
        await registerOne(registry, 'alice', entry('a'), { now, user: status({ version: 1 }) });
        expect(await registry.list('alice', now)).toMatchObject([{ jti: 'a', meta: null }]);
        expect(await userOf('alice')).toBe('enabled');
      });

      test('removes thousands of entries of one subject and of many subjects', async () => {
        const entries = Array.from({ length: 2200 }, (_, index) => entry(`j${index}`));
        for (let from = 0; from < entries.length; from += 550) {
          await Promise.all(
            entries.slice(from, from + 550).map((one) => registerOne(registry, 'alice', one, { now })),
          );
        }
        const others = Array.from({ length: 600 }, (_, index) => `other-${index}`);
        await Promise.all(others.map((sub) => register(sub, entry('a'))));
        const outcome = await registry.removeEntries(
          [
            { sub: 'alice', entries: entries.slice(1).map(named) },
            ...others.map((sub) => ({ sub, entries: [named(entry('a'))] })),
          ],
          now,
        );
        expect(outcome.removed).toBe(2199 + 600);
        expect(await scanned()).toMatchObject([{ sub: 'alice', entries: [{ jti: 'j0' }] }]);
      });
    });

    test('locate names the master that a scan finds the subject on, also for a subject without entries', async () => {
      for (const sub of ['alice', 'bob', 'carol, with spaces', 'dave']) {
        const before = await registry.locate(sub);
        await register(sub, entry('j'));
        const [found] = await scanned(now, { sub });
        expect(before).toEqual({ slot: before.slot, node: found?.node });
        expect(before.slot === null).toBe(registry.backend !== 'redis-cluster');
        expect(await registry.locate(sub)).toEqual(before);
      }
    });

    test('nodes lists a reachable server, and masters before their replicas', async () => {
      const nodes = await registry.nodes();
      expect(nodes.some(({ reachable }) => reachable)).toBe(true);
      for (const [index, { role, master }] of nodes.entries()) {
        if (role === 'replica') {
          expect(nodes.slice(0, index).some(({ node }) => node === master)).toBe(true);
        }
      }
    });
  });
}
