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
  const health = () => ({ isReady: true, database, masters: [], uses: null }) as unknown as VerifierHealth;
  watch = new StateWatch({ clock, probe: () => {}, health, report: (change) => changes.push(change) }, 300);
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
  const [down] = await becomes('degraded', 'ERR_MYSQL_UNREACHABLE');
  expect(down).toContain('does not respond');
  expect(await becomes('degraded', 'ERR_MYSQL_UNREACHABLE')).toEqual([]);
  expect(await becomes('up', null)).toEqual(['The database responds again.']);
});

test('does not report a database that lacks changes as not answering', async () => {
  expect(await becomes('degraded', 'ERR_DATABASE_BEHIND')).toEqual([]);
  const [down] = await becomes('degraded', 'ERR_MYSQL_UNREACHABLE');
  expect(down).toContain('does not respond');
  expect(await becomes('degraded', 'ERR_DATABASE_BEHIND')).toEqual(['The database responds again.']);
  expect(await becomes('up', null)).toEqual([]);
});

test('reports the grace period as a warning, and its end as an error', async () => {
  await becomes('degraded', 'ERR_MYSQL_UNREACHABLE');
  expect(changes).toMatchObject([
    { level: 'warn', fields: { store: 'database', state: 'degraded', code: 'ERR_MYSQL_UNREACHABLE' } },
  ]);
  expect(changes[0]?.text).toContain('for up to 5m (verifier.grace)');
  await becomes('down', 'ERR_MYSQL_UNREACHABLE');
  expect(changes).toMatchObject([
    { level: 'error', fields: { store: 'database', state: 'down', code: 'ERR_MYSQL_UNREACHABLE' } },
  ]);
  expect(changes[0]?.text).toContain('No tokens are accepted');
  await becomes('up', null);
  expect(changes).toMatchObject([{ level: 'info', fields: { store: 'database', state: 'up', code: null } }]);
});
