import { beforeEach, expect, test } from 'vitest';
import type { AuditLog, MacKey } from '../../../src/domain/ports/index.js';
import type { DatabaseHeads, StoredMarks } from '../../../src/domain/ports/mark-store.js';
import { DatabaseGuard } from '../../../src/domain/recovery/database-guard.js';
import {
  authenticated,
  type HighWaterMark,
  markText,
} from '../../../src/domain/recovery/high-water-marks.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { ManualClock } from '../../support/clock.js';

const KEY: MacKey = { id: 'mk-1', secret: new Uint8Array(32).fill(7) };
const NOW: DatabaseHeads = { recoveredAt: 0, revision: 5, audit: { seq: 9, hash: 'ab'.repeat(32) } };
const BACKUP: DatabaseHeads = { recoveredAt: 0, revision: 5, audit: { seq: 8, hash: 'cd'.repeat(32) } };

const ORIGIN = { prefix: 'jwt', kind: 'mark' } as const;

let clock: ManualClock;
let heads: DatabaseHeads;
let marks: StoredMarks;
let asked: number;
let redials: number;
let isAway: boolean;
let guard: DatabaseGuard;

beforeEach(() => {
  clock = new ManualClock();
  heads = NOW;
  marks = { ...stored(NOW), hint: null };
  asked = 0;
  redials = 0;
  isAway = false;
  const lastUpTo = async (seq: number) => (seq >= heads.audit.seq ? heads.audit : null);
  guard = new DatabaseGuard({
    database: {
      heads: async () => {
        asked += 1;
        return heads;
      },
      auditLog: { lastUpTo } as unknown as AuditLog,
      redial: () => {
        redials += 1;
      },
    },
    marks: {
      read: async () => {
        if (isAway) throw new JwtctlError('ERR_REDIS_CLUSTER_DOWN', 'down');
        return marks;
      },
      replace: async () => true,
      addEvents: async () => [],
      async *events() {},
      removeEvents: async () => {},
    },
    prefix: 'jwt',
    macKeys: { current: async () => KEY, find: async (id) => (id === KEY.id ? KEY : null) },
    clock: { now: clock.now, pause: async () => clock.advance(1) },
  });
});

function stored(reached: DatabaseHeads): Pick<StoredMarks, 'mark' | 'keys'> {
  const text = markText({ ...reached, lastEvent: null } satisfies HighWaterMark);
  return { mark: authenticated(text, ORIGIN, KEY), keys: null };
}

test('a restored backup is noticed within a second, although the marks stay the same', async () => {
  expect(await guard.assertCurrent()).toBe(5);
  heads = BACKUP;
  clock.advance(1);
  await expect(guard.assertCurrent()).rejects.toMatchObject({ kind: 'state', code: 'ERR_DATABASE_BEHIND' });
  heads = NOW;
  expect(await guard.assertCurrent()).toBe(5);
});

test('with unchanged marks, the database is read once per second, by one caller for all', async () => {
  await Promise.all([1, 2, 3].map(() => guard.assertCurrent()));
  await guard.assertCurrent();
  const once = asked;
  clock.advance(1);
  await Promise.all([1, 2, 3].map(() => guard.assertCurrent()));
  expect(asked).toBe(2 * once);
  expect(redials).toBe(0);
});

test('callers that are refused at the same time share one reconnect', async () => {
  heads = BACKUP;
  const refused = await Promise.allSettled([1, 2, 3].map(() => guard.assertCurrent()));
  expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(redials).toBe(1);
});

test('a master of Redis that holds the marks and is down stops nothing', async () => {
  isAway = true;
  expect(await guard.assertCurrent()).toBe(0);
  isAway = false;
  expect(await guard.assertCurrent()).toBe(5);
  isAway = true;
  expect(await guard.assertCurrent()).toBe(5);
});

test('a comparison says whether the database is behind', async () => {
  expect(await guard.compare()).toBe('current');
  heads = BACKUP;
  expect(await guard.compare()).toBe('behind');
});

test('a comparison never takes an earlier judgment for an answer', async () => {
  await guard.assertCurrent();
  isAway = true;
  expect(await guard.compare()).toBe('unreachable');
});

test.each([
  ['is missing', null],
  ['is not authenticated', authenticated(markText({ ...NOW, lastEvent: null }), ORIGIN, null)],
  [
    'has an unknown key',
    authenticated(markText({ ...NOW, lastEvent: null }), ORIGIN, { ...KEY, id: 'mk-2' }),
  ],
  ['was changed', stored(NOW).mark?.replace('[0,5,', '[0,4,') ?? ''],
])('nothing is compared if the mark %s', async (_, mark) => {
  marks = { ...marks, mark };
  expect(await guard.compare()).toBe('no_mark');
});
