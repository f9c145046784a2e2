import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SecurityEvent } from '../../src/domain/ports/index.js';
import { Follower } from '../../src/verifier/follower.js';
import { HeartbeatSender } from '../../src/verifier/heartbeat-sender.js';
import { KeyCache } from '../../src/verifier/key-cache.js';
import { SecurityLogTail } from '../../src/verifier/security-log-tail.js';
import { StoreState } from '../../src/verifier/store-state.js';
import { ManualClock } from '../support/clock.js';

const AWAY = new Error('The keys cannot be read.');

let clock: ManualClock;
let events: SecurityEvent[];
let asked: number[];
/** Pages that wait for their release, by the id that they begin after. */
let heldPages: Map<number, { reach: () => void; released: Promise<void> }>;
let areKeysAway: boolean;
let tail: SecurityLogTail;
let state: StoreState;
let follower: Follower;

beforeEach(() => {
  clock = new ManualClock();
  events = Array.from({ length: 12_000 }, (_, index) => revocation(index + 1));
  asked = [];
  heldPages = new Map();
  areKeysAway = false;
  const keys = new KeyCache(
    {
      snapshot: async () => {
        if (areKeysAway) throw AWAY;
        return { revision: 1, recoveredAt: 0, keys: [] };
      },
    },
    clock,
  );
  tail = new SecurityLogTail(
    {
      listAfter: async (afterId, limit) => {
        asked.push(afterId);
        const page = heldPages.get(afterId);
        heldPages.delete(afterId);
        page?.reach();
        await page?.released;
        return events.filter(({ id }) => id > afterId).slice(0, limit);
      },
    },
    clock,
  );
  state = new StoreState(clock);
  const heartbeatSender = new HeartbeatSender({
    registry: {
      heartbeatLifetimeSeconds: 15,
      report: async () => {},
      deregister: async () => {},
      fleet: async () => ({ verifiers: [], keptSeconds: 0 }),
    },
    ...{ keys, tail, clock, state: new StoreState(clock), refusals: { count: 0 }, warn: () => {} },
  });
  follower = new Follower({
    keys,
    tail,
    clock,
    state,
    heartbeatSender,
    watch: { checkServer: async () => {}, evaluate: () => false },
  });
});
afterEach(() => follower.end());

function revocation(id: number): SecurityEvent {
  return {
    ...{ id, type: 'token_revoked', sub: 'alice', jti: `j${id}`, kid: null, issuedBefore: null },
    ...{ userVersion: null, reason: null, at: clock.now(), expiresAt: clock.now() + 9_999 },
  };
}

function isRevoked(id: number): boolean {
  return tail.events.covers({ sub: 'alice', jti: `j${id}`, kid: 'k1', iat: 1 });
}

/** Delays the next page after this id until it is released. */
function holdPage(afterId: number): { reached: Promise<void>; release: () => void } {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const reached = new Promise<void>((reach) => heldPages.set(afterId, { reach, released }));
  return { reached, release };
}

/** Waits until nothing happens without a release or a clock change. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test('forgets nothing if the keys cannot be read during a reload of the log', async () => {
  await follower.begin();
  const lastPage = holdPage(10_000);
  areKeysAway = true;
  clock.advance(60);
  await lastPage.reached;
  areKeysAway = false;
  // A second reload would reach this page.
  const middlePage = holdPage(5_000);
  const caughtUp = follower.catchUp();
  await settled();
  lastPage.release();
  await settled();
  expect([1, 7_000, 12_000].map(isRevoked)).toEqual([true, true, true]);
  middlePage.release();
  await caughtUp;
  expect([1, 7_000, 12_000].map(isRevoked)).toEqual([true, true, true]);
});

test('fails a read if the keys cannot be read, and recovers with the next read', async () => {
  await follower.begin();
  const begun = clock.now();
  areKeysAway = true;
  clock.advance(1);
  await expect(follower.catchUp()).rejects.toBe(AWAY);
  expect([follower.caughtUpAt, state.isUp]).toEqual([begun, false]);
  areKeysAway = false;
  await follower.catchUp();
  expect([follower.caughtUpAt, state.isUp]).toEqual([begun + 1, true]);
});

test('ends during a reload of the log after the current page', async () => {
  await follower.begin();
  const page = holdPage(0);
  clock.advance(60);
  await page.reached;
  asked.length = 0;
  const ended = follower.end();
  page.release();
  await ended;
  expect({ asked, isUp: state.isUp }).toEqual({ asked: [], isUp: true });
  expect([1, 7_000, 12_000].map(isRevoked)).toEqual([true, true, true]);
});
