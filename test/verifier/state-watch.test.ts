import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/domain/shared/errors.js';
import type { VerifierHealth } from '../../src/verifier/health.js';
import { type StateChange, StateWatch } from '../../src/verifier/state-watch.js';
import { ManualClock } from '../support/clock.js';

let clock: ManualClock;
let database: VerifierHealth['database'];
let changes: StateChange[];
let watch: StateWatch;

beforeEach(() => {
  clock = new ManualClock();
  database = { state: 'up', since: 0, code: null };
  changes = [];
  const health = () => ({ isReady: true, database, masters: [] }) as unknown as VerifierHealth;
  watch = new StateWatch({ clock, probe: () => {}, health, tell: (change) => changes.push(change) }, 300);
  watch.begin();
});
afterEach(() => watch.end());

async function becomes(
  state: VerifierHealth['database']['state'],
  code: ErrorCode | null,
): Promise<string[]> {
  database = { state, since: clock.now(), code };
  changes = [];
  await clock.awaited();
  clock.advance(1);
  await clock.awaited();
  return changes.map(({ text }) => text);
}

test('reports once that the database stops answering, and once that it answers again', async () => {
  const [away] = await becomes('degraded', 'ERR_MYSQL_UNREACHABLE');
  expect(away).toContain('does not answer');
  expect(await becomes('degraded', 'ERR_MYSQL_UNREACHABLE')).toEqual([]);
  expect(await becomes('up', null)).toEqual(['The database answers again.']);
});

test('does not report a database that lacks changes as not answering', async () => {
  expect(await becomes('degraded', 'ERR_DATABASE_BEHIND')).toEqual([]);
  const [away] = await becomes('degraded', 'ERR_MYSQL_UNREACHABLE');
  expect(away).toContain('does not answer');
  expect(await becomes('degraded', 'ERR_DATABASE_BEHIND')).toEqual(['The database answers again.']);
  expect(await becomes('up', null)).toEqual([]);
});
