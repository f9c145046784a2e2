import { expect, test } from 'vitest';
import { markText } from '../../src/domain/recovery/high-water-marks.js';
import { DatabaseWatch, type DatabaseWatchPorts } from '../../src/verifier/database-watch.js';
import { ManualClock } from '../support/clock.js';

const clock = new ManualClock(1_790_000_000);

/** Returns a watch with a function that checks a server which has reached `revision`, while Redis has a mark for `mark`. */
function watching() {
  const keys = { recoveredAt: 0, revision: 0, isBehind: false };
  const tail = { isBehind: false, progress: { position: 0, missing: [] }, keepAll() {}, startAnew() {} };
  let redials = 0;
  let server = { id: 'a', isReadOnly: true };
  let mark: number | null = null;
  const watch = new DatabaseWatch({
    database: {
      server: async () => server,
      redial: () => {
        redials += 1;
      },
    },
    keys,
    tail,
    marks: {
      read: async () => ({
        mark: mark === null ? null : `- - ${markText({ ...NO_HEADS, revision: mark })}`,
        hint: null,
      }),
    },
    clock,
    warn: () => {},
  } as unknown as DatabaseWatchPorts);
  return {
    redials: () => redials,
    check: async (now: { mark: number | null; revision: number; server?: typeof server }) => {
      mark = now.mark;
      keys.revision = now.revision;
      server = now.server ?? server;
      await watch.checkServer();
      // The marks are read in the background.
      await new Promise(setImmediate);
      watch.evaluate();
      return watch.isConfirmed;
    },
  };
}

const NO_HEADS = { recoveredAt: 0, audit: { seq: 0, hash: '0'.repeat(64) }, lastEvent: null };

test('relies on a replica once it has reached a mark, although Redis already has a newer one', async () => {
  const { check } = watching();
  expect(await check({ mark: null, revision: 5 })).toBe(false);
  expect(await check({ mark: 7, revision: 6 })).toBe(false);
  expect(await check({ mark: 9, revision: 6 })).toBe(false);
  expect(await check({ mark: 11, revision: 8 })).toBe(true);
  expect(await check({ mark: 13, revision: 8 })).toBe(true);
  expect(await check({ mark: null, revision: 13 })).toBe(false);
});

test('relies on a new primary only after reads that no connection to the old one can have answered', async () => {
  const { check, redials } = watching();
  expect(await check({ mark: 7, revision: 6 })).toBe(false);
  const before = redials();
  const primary = { id: 'b', isReadOnly: false };
  // A connection to the old primary read the keys.
  expect(await check({ mark: 7, revision: 6, server: primary })).toBe(false);
  expect(redials()).toBe(before + 1);
  expect(await check({ mark: 7, revision: 7 })).toBe(true);
});
