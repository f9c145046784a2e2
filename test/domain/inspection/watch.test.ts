import { describe, expect, test } from 'vitest';
import { type Fleet, NO_VERIFIERS } from '../../../src/domain/fleet/running-verifiers.js';
import type { Inspection } from '../../../src/domain/inspection/types.js';
import { type Look, watchRegistry } from '../../../src/domain/inspection/watch.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { ManualClock } from '../../support/clock.js';
import { heartbeatOf } from '../../support/heartbeats.js';

function report(parts: Partial<Inspection> = {}): Inspection {
  return {
    ...{ backend: 'sqlite', prefix: '', complete: true, missed: [], entries: 0, subjects: 0, bytes: null },
    ...{ byKid: [], byNode: [], ttl: [], expiry: [], topSubjects: [] },
    anomalies: { noTtl: null, ttlMismatch: null, unknownKid: 0, unknownUser: null, malformed: 0 },
    issuedBefore: { now: 0, since: null },
    ...parts,
  };
}

/** Watches every two seconds; each look returns the next element of `seen`, and the next one of `fleets`. */
function watch(
  seen: Array<Inspection | Error | (() => Promise<Inspection>)>,
  signal?: AbortSignal,
  fleets: Fleet[] = [],
) {
  const clock = new ManualClock(1_000);
  const ending = new AbortController();
  const asked: Array<{ at: number; since: number | undefined }> = [];
  const look = async (at: number, since: number | undefined) => {
    asked.push({ at, since });
    const next = seen.shift() ?? report();
    if (next instanceof Error) throw next;
    return typeof next === 'function' ? next() : next;
  };
  const looks = watchRegistry(look, {
    ...{ clock, intervalSeconds: 2, signal: signal ?? ending.signal },
    askFleet: async () => fleets.shift() ?? NO_VERIFIERS,
  });
  /** Advances the clock to the next look and returns it. */
  const next = async (): Promise<Look> => {
    const coming = looks.next();
    const [until] = await Promise.race([clock.awaited(), coming.then(() => [])]);
    if (until !== undefined) clock.advance(until - clock.now());
    return (await coming).value as Look;
  };
  return { looks, next, clock, asked, ending };
}

const DOWN = new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis does not answer.');

describe('a watch', () => {
  test('looks once per interval, counted from the start of the previous look', async () => {
    const { next, clock, asked } = watch([]);
    expect((await next()).at).toBe(1_000);
    expect((await next()).at).toBe(1_002);
    expect((await next()).at).toBe(1_004);
    expect(clock.now()).toBe(1_004);
    expect(asked.map(({ at }) => at)).toEqual([1_000, 1_002, 1_004]);
  });

  test('starts a late look as soon as a slow one has ended', async () => {
    let finish = (_: Inspection): void => {};
    const slow = () =>
      new Promise<Inspection>((resolve) => {
        finish = resolve;
      });
    const { looks, clock, asked } = watch([slow]);
    const first = looks.next();
    clock.advance(7);
    expect(asked).toHaveLength(1);
    finish(report());
    await first;
    expect((await looks.next()).value.at).toBe(1_007);
    expect(asked.map(({ at }) => at)).toEqual([1_000, 1_007]);
  });

  test('counts arrived and ended entries, in total and for each key and node', async () => {
    const { next } = watch([
      report({
        entries: 100,
        byKid: [
          { kid: 'old', keyId: 1, state: 'retiring', entries: 30 },
          { kid: 'k', keyId: 2, state: 'active', entries: 70 },
        ],
        byNode: [{ node: 'a:1', role: 'master', slots: 1, entries: 100, usedMemoryBytes: null }],
        issuedBefore: { now: 98, since: null },
      }),
      report({
        entries: 110,
        byKid: [
          { kid: 'k', keyId: 2, state: 'active', entries: 105 },
          { kid: 'new', keyId: 3, state: 'active', entries: 5 },
        ],
        byNode: [{ node: 'a:1', role: 'master', slots: 1, entries: 110, usedMemoryBytes: null }],
        issuedBefore: { now: 109, since: 68 },
      }),
    ]);
    expect((await next()).change).toBeNull();
    // Of the 98 entries before the first look, 68 remain: 30 have ended, so 40 have arrived.
    expect((await next()).change).toEqual({
      ...{ since: 1_000, entries: 10, arrived: 40, gone: 30, arrivedPerSecond: 20, gonePerSecond: 15 },
      ...{ refused: null, refusedPerSecond: null },
      byKid: [
        { kid: 'k', keyId: 2, entries: 35 },
        { kid: 'new', keyId: 3, entries: 5 },
        { kid: 'old', keyId: 1, entries: -30 },
      ],
      byNode: [{ node: 'a:1', entries: 10 }],
    });
  });

  test('counts the tokens that running verifiers refused since the last complete look', async () => {
    const fleet = (...refused: number[]): Fleet => ({
      verifiers: refused.map((count, index) => heartbeatOf(`v${index}`, 1_000, { refused: count })),
      unavailableReason: null,
    });
    const away = { verifiers: [], unavailableReason: 'Redis does not answer.' };
    const { next } = watch([], undefined, [fleet(5, 7), fleet(6, 12), away, fleet(6, 12), NO_VERIFIERS]);
    const refusals: unknown[] = [];
    for (let look = 0; look < 5; look++) refusals.push((await next()).change?.refused);
    expect(refusals).toEqual([undefined, 6, null, null, null]);
  });

  test('never counts restored entries as ended or arrivals as negative', async () => {
    const { next } = watch([
      report({ entries: 10, issuedBefore: { now: 10, since: null } }),
      report({ entries: 50, issuedBefore: { now: 50, since: 50 } }),
      report({ entries: 20, issuedBefore: { now: 20, since: 50 } }),
    ]);
    await next();
    expect((await next()).change).toMatchObject({ entries: 40, arrived: 40, gone: 0 });
    expect((await next()).change).toMatchObject({ entries: -30, arrived: 0, gone: 30 });
  });

  test('compares with the last complete look', async () => {
    const { next, asked } = watch([
      report({ entries: 100 }),
      report({ entries: 60, complete: false, missed: ['slots 0-5460 (a:1)'] }),
      report({ entries: 103 }),
    ]);
    await next();
    expect(await next()).toMatchObject({ change: null, report: { entries: 60 }, failure: null });
    expect((await next()).change).toMatchObject({ since: 1_000, entries: 3, arrivedPerSecond: 0.75 });
    expect(asked.map(({ since }) => since)).toEqual([undefined, 1_000, 1_000]);
  });

  test('continues while a store is down, and shows the last report', async () => {
    const { next } = watch([report({ entries: 100 }), DOWN, DOWN, report({ entries: 90 })]);
    await next();
    expect(await next()).toMatchObject({
      ...{ at: 1_002, report: { entries: 100 }, change: null, failure: { error: DOWN, since: 1_002 } },
    });
    expect((await next()).failure).toMatchObject({ since: 1_002 });
    expect(await next()).toMatchObject({
      ...{ at: 1_006, report: { entries: 90 }, failure: null, change: { since: 1_000, entries: -10 } },
    });
  });

  test('rejects if the first look fails', async () => {
    await expect(watch([DOWN]).next()).rejects.toBe(DOWN);
  });

  test.each([new JwtctlError('ERR_SCHEMA_OUTDATED', 'The schema is old.'), new Error('a defect')])(
    'rejects after a permanent error: $message',
    async (error) => {
      const { next } = watch([report(), error]);
      await next();
      await expect(next()).rejects.toBe(error);
    },
  );

  test('ends when interrupted between looks', async () => {
    const { next, looks, clock, ending } = watch([]);
    await next();
    const coming = looks.next();
    await clock.awaited();
    ending.abort();
    expect(await coming).toEqual({ done: true, value: undefined });
  });

  test('ends when interrupted during a look, without its report', async () => {
    const { looks, ending } = watch([
      async () => {
        ending.abort();
        return report({ complete: false });
      },
    ]);
    expect(await looks.next()).toEqual({ done: true, value: undefined });
  });

  test('does not look if interrupted before the start', async () => {
    const { looks, asked } = watch([], AbortSignal.abort());
    expect(await looks.next()).toEqual({ done: true, value: undefined });
    expect(asked).toEqual([]);
  });
});
