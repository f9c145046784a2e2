import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SecurityEvent } from '../../src/domain/ports/index.js';
import { Follower } from '../../src/verifier/follower.js';
import { HeartbeatSender } from '../../src/verifier/heartbeat-sender.js';
import { KeySet } from '../../src/verifier/key-set.js';
import { SecurityLogTail } from '../../src/verifier/security-log-tail.js';
import { StoreState } from '../../src/verifier/store-state.js';
import { ManualClock } from '../support/clock.js';

const AWAY = new Error('The keys cannot be read.');

let clock: ManualClock;
let events: SecurityEvent[];
let asked: number[];
/** Pages that do not come before they are released, by the id that they begin behind. */
let held: Map<number, { reach: () => void; released: Promise<void> }>;
let areKeysAway: boolean;
let tail: SecurityLogTail;
let state: StoreState;
let follower: Follower;

beforeEach(() => {
  clock = new ManualClock();
  events = Array.from({ length: 12_000 }, (_, index) => revocation(index + 1));
  asked = [];
  held = new Map();
  areKeysAway = false;
  const keys = new KeySet(
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
        const lease = held.get(afterId);
        held.delete(afterId);
        lease?.reach();
        await lease?.released;
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
    ...{ keys, tail, clock, state: new StoreState(clock), warn: () => {} },
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

/** The next page behind this id comes once it is released. */
function lease(afterId: number): { reached: Promise<void>; release: () => void } {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const reached = new Promise<void>((reach) => held.set(afterId, { reach, released }));
  return { reached, release };
}

/** All has happened that waits for nothing. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test('nothing is forgotten where the keys cannot be read while everything is read anew', async () => {
  await follower.begin();
  const lastPage = lease(10_000);
  areKeysAway = true;
  clock.advance(60);
  await lastPage.reached;
  areKeysAway = false;
  // Of a second reload, if there were one.
  const middlePage = lease(5_000);
  const caughtUp = follower.catchUp();
  await settled();
  lastPage.release();
  await settled();
  expect([1, 7_000, 12_000].map(isRevoked)).toEqual([true, true, true]);
  middlePage.release();
  await caughtUp;
  expect([1, 7_000, 12_000].map(isRevoked)).toEqual([true, true, true]);
});

test('a read that one of both failed in has failed, and the next one counts', async () => {
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

test('one that ends while everything is read anew waits for one page of it', async () => {
  await follower.begin();
  const page = lease(0);
  clock.advance(60);
  await page.reached;
  asked.length = 0;
  const ended = follower.end();
  page.release();
  await ended;
  expect({ asked, isUp: state.isUp }).toEqual({ asked: [], isUp: true });
  expect([1, 7_000, 12_000].map(isRevoked)).toEqual([true, true, true]);
});
