import { beforeEach, describe, expect, test } from 'vitest';
import type { SecurityEvent } from '../../src/domain/ports/index.js';
import { SecurityLogTail } from '../../src/verifier/security-log-tail.js';
import { ManualClock } from '../support/clock.js';

let clock: ManualClock;
let rows: SecurityEvent[];
let asked: number[];
let whenAsked: (afterId: number) => void;
let tail: SecurityLogTail;

beforeEach(() => {
  clock = new ManualClock();
  rows = [];
  asked = [];
  whenAsked = () => {};
  tail = new SecurityLogTail(
    {
      listAfter: async (afterId, limit) => {
        asked.push(afterId);
        whenAsked(afterId);
        const found = rows.filter(({ id }) => id > afterId).sort((a, b) => a.id - b.id);
        return found.slice(0, limit);
      },
    },
    clock,
  );
});

function commit(id: number, parts: Partial<SecurityEvent> = {}): void {
  rows.push({
    ...{ id, type: 'token_revoked', sub: 'alice', jti: `j${id}`, kid: null, issuedBefore: null },
    ...{ userVersion: null, reason: null, at: clock.now(), expiresAt: clock.now() + 9_999, ...parts },
  });
}

function isRevoked(id: number): boolean {
  return tail.events.covers({ sub: 'alice', jti: `j${id}`, kid: 'k1', iat: 1 });
}

function readAfter(seconds: number): Promise<void> {
  clock.advance(seconds);
  return tail.read();
}

test('reads the whole log first', async () => {
  for (let id = 1; id <= 12_000; id++) commit(id);
  await tail.read();
  expect([isRevoked(1), isRevoked(12_000), isRevoked(12_001)]).toEqual([true, true, false]);
  expect(tail.progress).toEqual({ position: 12_000, missing: [] });
  expect(tail.readAt).toBe(clock.now());
});

test('continues with the last known event', async () => {
  commit(1);
  await tail.read();
  await readAfter(1);
  commit(2);
  commit(3);
  await readAfter(1);
  expect([isRevoked(2), isRevoked(3)]).toEqual([true, true]);
  expect(asked).toEqual([0, 0, 0]);
  await readAfter(1);
  expect(asked.at(-1)).toBe(2);
});

describe('a missing id', () => {
  test('is awaited, because its transaction may commit after later ones', async () => {
    commit(1);
    await tail.read();
    commit(3);
    await readAfter(1);
    expect([isRevoked(2), isRevoked(3)]).toEqual([false, true]);
    commit(2);
    await readAfter(1);
    expect(isRevoked(2)).toBe(true);
    commit(4);
    await readAfter(1);
    expect(asked.at(-1)).toBe(2);
  });

  test('is skipped after a minute', async () => {
    commit(1);
    await tail.read();
    commit(5);
    await readAfter(1);
    await readAfter(58);
    expect(asked.at(-1)).toBe(0);
    await readAfter(3);
    await readAfter(1);
    expect(asked.at(-1)).toBe(4);
  });

  test('that appears later is found by the next reload', async () => {
    commit(1);
    await tail.read();
    commit(3);
    await readAfter(1);
    // The reload at 60 s does not skip the gap yet.
    await readAfter(59);
    await readAfter(3);
    commit(2);
    await readAfter(1);
    expect(isRevoked(2)).toBe(false);
    await readAfter(60);
    expect(isRevoked(2)).toBe(true);
  });
});

test('awaits an id that is missing at a reload, even if the clock of the writer is behind', async () => {
  commit(1);
  await tail.read();
  commit(3, { at: clock.now() - 3600 });
  await readAfter(60);
  expect(tail.progress).toEqual({ position: 3, missing: [[2, 2]] });
  commit(2, { at: clock.now() - 3600 });
  await readAfter(1);
  expect(isRevoked(2)).toBe(true);
});

test('awaits an id that is missing at the first read, even if the clock of the writer is behind', async () => {
  commit(1, { at: clock.now() - 3600 });
  commit(3, { at: clock.now() - 90 });
  await tail.read();
  expect(tail.progress.missing).toEqual([[2, 2]]);
  commit(2);
  await readAfter(1);
  expect(isRevoked(2)).toBe(true);
});

test('finds events that commit during a reload', async () => {
  for (let id = 1; id <= 12_000; id++) if (id !== 7) commit(id, { expiresAt: clock.now() + 9_999 });
  await tail.read();
  whenAsked = (afterId) => {
    if (afterId === 5001) commit(7, { type: 'subject_revoked', sub: 'bob', jti: null, issuedBefore: 5 });
  };
  await readAfter(60);
  expect(tail.events.covers({ sub: 'bob', jti: 'j', kid: 'k1', iat: 5 })).toBe(true);
});

test('runs one read at a time, so that a reload cannot drop events of another', async () => {
  for (let id = 1; id <= 12_000; id++) commit(id);
  await tail.read();
  clock.advance(60);
  asked.length = 0;
  await Promise.all([tail.read(), tail.read(), tail.read()]);
  // One reload for all three calls, with a read of new events after each full page.
  expect(asked).toEqual([0, 12_000, 5_000, 12_000, 10_000]);
  const first = tail.read();
  await Promise.resolve();
  await Promise.all([first, tail.read()]);
  expect(asked.slice(5)).toEqual([11_999, 11_999]);
});

test('forgets expired events with a reload', async () => {
  commit(1, { expiresAt: clock.now() + 30 });
  commit(2);
  await tail.read();
  await readAfter(59);
  expect([isRevoked(1), isRevoked(2)]).toEqual([true, true]);
  await readAfter(1);
  expect([isRevoked(1), isRevoked(2)]).toEqual([false, true]);
});

test('forgets an event before it is deleted, if it covers only refresh tokens by then', async () => {
  commit(1, { verifiersUntil: clock.now() + 50 });
  commit(2);
  await tail.read();
  expect([isRevoked(1), isRevoked(2)]).toEqual([true, true]);
  await readAfter(61);
  expect([isRevoked(1), isRevoked(2)]).toEqual([false, true]);
  expect(tail.isBehind).toBe(false);
});

test('changes its revision with each event and each reload', async () => {
  const revisions = new Set<number>();
  await tail.read();
  revisions.add(tail.revision);
  await readAfter(1);
  revisions.add(tail.revision);
  expect(revisions.size).toBe(1);
  commit(1);
  await readAfter(1);
  revisions.add(tail.revision);
  await readAfter(60);
  revisions.add(tail.revision);
  expect(revisions.size).toBe(3);
});

test('reloads once if other events have the last ids', async () => {
  for (const id of [1, 2, 3, 5]) commit(id);
  await tail.read();
  // A failover lost the last events.
  rows = rows.filter(({ id }) => id < 3);
  commit(3, { jti: 'late' });
  await readAfter(1);
  expect(tail.events.covers({ sub: 'alice', jti: 'late', kid: 'k1', iat: 1 })).toBe(true);
  expect(tail.progress).toEqual({ position: 3, missing: [] });
  asked = [];
  commit(4);
  await readAfter(1);
  expect([isRevoked(4), asked]).toEqual([true, [2]]);
});

test('does not reload if an expired event was deleted', async () => {
  commit(1, { expiresAt: clock.now() + 10 });
  await tail.read();
  rows = [];
  await readAfter(20);
  asked = [];
  await readAfter(1);
  expect(asked).toEqual([1]);
});

test('reloads after the clock was set back', async () => {
  commit(1);
  clock.advance(3600);
  await tail.read();
  await readAfter(-3600);
  expect(asked).toEqual([0, 0]);
});

test('keeps known events and progress if a read fails', async () => {
  commit(1);
  await tail.read();
  const failure = new Error('down');
  const failing = new SecurityLogTail({ listAfter: () => Promise.reject(failure) }, clock);
  await expect(failing.read()).rejects.toBe(failure);
  expect(failing.progress).toEqual({ position: 0, missing: [] });
  expect(failing.readAt).toBeNull();
  expect(isRevoked(1)).toBe(true);
});

describe('a log that lacks known events', () => {
  test.each([
    { what: 'its last event', lost: [2] },
    { what: 'every event', lost: [1, 2] },
    { what: 'an event beyond a gap', lost: [4] },
  ])('loses nothing known: $what', async ({ lost }) => {
    for (const id of [1, 2, 4]) commit(id);
    await tail.read();
    expect(tail.isBehind).toBe(false);
    rows = rows.filter(({ id }) => !lost.includes(id));
    await readAfter(1);
    await readAfter(61);
    expect([1, 2, 4].map(isRevoked)).toEqual([true, true, true]);
    expect(tail.isBehind).toBe(true);
  });

  test('is detected by a reload', async () => {
    commit(1);
    await tail.read();
    rows = [];
    await readAfter(61);
    expect([isRevoked(1), tail.isBehind]).toEqual([true, true]);
  });

  test('is detected although the last events have expired', async () => {
    commit(1);
    commit(2, { expiresAt: clock.now() + 30 });
    await tail.read();
    rows = [];
    await readAfter(31);
    await readAfter(61);
    expect([isRevoked(1), tail.isBehind]).toEqual([true, true]);
  });

  test('is no longer behind once it has them again (a lagging replica)', async () => {
    commit(1);
    commit(2);
    commit(3);
    await tail.read();
    const all = rows;
    rows = all.slice(0, 1);
    await readAfter(1);
    expect(tail.isBehind).toBe(true);
    rows = all.slice(0, 2);
    await readAfter(1);
    expect(tail.isBehind).toBe(true);
    rows = all;
    await readAfter(1);
    expect(tail.isBehind).toBe(false);
    rows = all.filter(({ id }) => id !== 2);
    await readAfter(61);
    expect([isRevoked(1), isRevoked(2)]).toEqual([true, false]);
  });

  test('forgets nothing while keepAll is set', async () => {
    commit(1);
    commit(2);
    await tail.read();
    tail.keepAll(true);
    rows = rows.slice(1);
    await readAfter(61);
    expect(isRevoked(1)).toBe(true);
    tail.keepAll(false);
    await readAfter(61);
    expect(isRevoked(1)).toBe(false);
  });

  test('adds new events, and is trusted again after startAnew', async () => {
    commit(1);
    commit(2);
    await tail.read();
    rows = [];
    commit(1, { jti: 'other' });
    await readAfter(1);
    expect(tail.events.covers({ sub: 'alice', jti: 'other', kid: 'k1', iat: 1 })).toBe(true);
    expect([isRevoked(1), isRevoked(2), tail.progress.position]).toEqual([true, true, 1]);
    tail.startAnew();
    await readAfter(1);
    expect([isRevoked(1), isRevoked(2), tail.isBehind]).toEqual([false, false, false]);
    expect(tail.events.covers({ sub: 'alice', jti: 'other', kid: 'k1', iat: 1 })).toBe(true);
  });
});
