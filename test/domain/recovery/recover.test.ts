import { afterEach, beforeEach, expect, test } from 'vitest';
import { sqlDatabase } from '../../../src/adapters/sql/stores/database.js';
import type { Database, MacKey, NewSecurityEvent } from '../../../src/domain/ports/index.js';
import type { MarkStore, StoredEvent, StoredMarks } from '../../../src/domain/ports/mark-store.js';
import {
  authenticated,
  eventText,
  keyStatesText,
  markText,
  type RecordedEvent,
} from '../../../src/domain/recovery/high-water-marks.js';
import {
  findLosses,
  lostCompromises,
  type RecoveryPorts,
  settle,
} from '../../../src/domain/recovery/recover.js';
import { ManualClock } from '../../support/clock.js';
import { createMigrated, type SqlDatabaseUnderTest, sqlite } from '../../support/sql-engines.js';

const KEY: MacKey = { id: 'mk-1', secret: new Uint8Array(32).fill(7) };
const OLD_KEY: MacKey = { id: 'mk-0', secret: new Uint8Array(32).fill(6) };
const AUDIT = { seq: 0, hash: '0'.repeat(64) };

let opened: SqlDatabaseUnderTest;
let database: Database;
let clock: ManualClock;
let marks: StoredMarks;
let kept: StoredEvent[];
let foreign: string[];
let whileRead: () => Promise<void>;
let ports: RecoveryPorts;

beforeEach(async () => {
  opened = await createMigrated(sqlite);
  clock = new ManualClock();
  database = sqlDatabase(opened.db, { now: () => clock.now() });
  marks = { mark: null, keys: null, hint: null };
  kept = [];
  foreign = [];
  whileRead = async () => {};
  const store: MarkStore = {
    read: async () => marks,
    replace: async () => true,
    addEvents: async () => [],
    async *events() {
      await whileRead();
      for (const key of foreign) yield { key, events: null };
      yield { key: 'jwt:events:0', events: kept };
    },
    removeEvents: async (events) => {
      kept = kept.filter((one) => !events.includes(one));
    },
  };
  const macKeys = { current: async () => KEY, find: async (id: string) => (id === KEY.id ? KEY : null) };
  ports = { ...{ database, marks: store, prefix: 'jwt', macKeys, clock }, actor: 'tester' };
});
afterEach(() => opened.close());

function revocation(jti: string): NewSecurityEvent {
  const at = clock.now();
  return { ...{ type: 'token_revoked', sub: 'alice', jti, reason: null }, at, expiresAt: at + 3_600 };
}

function keep(
  event: Omit<RecordedEvent, 'recoveredAt'> & { recoveredAt?: number },
  key: MacKey | null = KEY,
): void {
  const text = eventText({ recoveredAt: 0, ...event });
  kept.push({ text: authenticated(text, { prefix: 'jwt', kind: 'event' }, key), shard: 0 });
}

function change(type: 'user_disabled' | 'user_enabled', userVersion: number, at: number): NewSecurityEvent {
  return { ...{ type, sub: 'erin', userVersion, reason: null }, at, expiresAt: at + 3_600 };
}

/** Adds erin, and disables her with version 2. */
async function addDisabled(at: number): Promise<void> {
  await database.users.add({ sub: 'erin', name: null, at });
  await database.users.setStatus('erin', 'disabled', at);
}

async function status(): Promise<string | undefined> {
  return (await database.users.find('erin'))?.status;
}

async function record(event: NewSecurityEvent): Promise<void> {
  keep({ ...event, id: await database.transaction(({ securityLog }) => securityLog.append(event)) });
}

function mark(recoveredAt: number, keys: Parameters<typeof keyStatesText>[0]): void {
  const text = markText({ recoveredAt, revision: 5, audit: AUDIT, lastEvent: null });
  marks = {
    mark: authenticated(text, { prefix: 'jwt', kind: 'mark' }, KEY),
    keys: authenticated(keyStatesText(keys), { prefix: 'jwt', kind: 'keys' }, KEY),
    hint: null,
  };
}

test('events recorded during the search are not reported as lost', async () => {
  await record(revocation('j1'));
  whileRead = () => record(revocation('j2'));
  expect(await findLosses(ports)).toMatchObject({ isBehind: false, events: [] });
});

test('a backup from before the last recovery has also lost key states', async () => {
  mark(clock.now(), [{ kid: 'leaked', state: 'compromised' }]);
  const losses = await findLosses(ports);
  expect(losses).toMatchObject({
    isBehind: true,
    keys: [{ kid: 'leaked', state: 'compromised', now: null }],
  });
  expect(lostCompromises(losses)).toEqual(['leaked']);
});

test('unverified events stay in Redis until the older state is accepted', async () => {
  keep({ ...revocation('j1'), id: 1 });
  keep({ ...revocation('j2'), id: 2 }, null);
  keep({ ...revocation('j3'), id: 3 }, OLD_KEY);
  await settle(ports, await findLosses(ports), 'reapplied');
  expect((await database.securityLog.listAfter(0, 10)).map(({ jti }) => jti)).toEqual(['j1']);
  const losses = await findLosses(ports);
  expect(losses).toMatchObject({ isBehind: false, unverified: { events: [{ jti: 'j2' }, { jti: 'j3' }] } });
  await settle(ports, losses, 'accepted');
  expect(kept.map(({ text }) => text)).toEqual([expect.stringContaining('"j1"')]);
});

test('an event from before the last recovery is shown, but never applied', async () => {
  await addDisabled(clock.now());
  await settle(ports, await findLosses(ports), 'accepted');
  keep({ ...change('user_enabled', 3, clock.now()), id: 2 });
  clock.advance(1);
  const losses = await findLosses(ports);
  expect(losses).toMatchObject({ isBehind: false, events: [], outdated: [{ type: 'user_enabled' }] });
  await settle(ports, losses, 'reapplied');
  expect(await status()).toBe('disabled');
  expect(await database.securityLog.listAfter(0, 10)).toEqual([]);
  await settle(ports, await findLosses(ports), 'accepted');
  expect(kept).toEqual([]);
});

test('an event from after the last recovery is applied again to an older backup', async () => {
  await database.users.add({ sub: 'erin', name: null, at: clock.now() });
  mark(clock.now(), []);
  keep({ ...change('user_disabled', 2, clock.now()), id: 1, recoveredAt: clock.now() });
  keep({ ...revocation('j1'), id: 2 });
  await settle(ports, await findLosses(ports), 'reapplied');
  expect(await status()).toBe('disabled');
  expect(await database.securityLog.listAfter(0, 10)).toHaveLength(2);
});

test('an event that enabled a user before the recovery in the mark is not applied again', async () => {
  await addDisabled(clock.now());
  mark(clock.now() + 1, []);
  keep({ ...change('user_enabled', 3, clock.now() + 1), id: 1 });
  const losses = await findLosses(ports);
  expect(losses).toMatchObject({ isBehind: true, events: [], outdated: [{ type: 'user_enabled' }] });
  await settle(ports, losses, 'reapplied');
  expect(await status()).toBe('disabled');
});

test('the last of several missing changes of a user is applied again', async () => {
  await addDisabled(clock.now());
  const at = clock.now() + 1;
  keep({ ...change('user_enabled', 3, at), id: 1 });
  keep({ ...change('user_disabled', 4, at), id: 2 });
  keep({ ...change('user_enabled', 5, at), id: 3 });
  await settle(ports, await findLosses(ports), 'reapplied');
  expect(await database.users.find('erin')).toMatchObject({ status: 'enabled', version: 5 });
});

test.each([
  ['has an older version than the user', { userVersion: 2, at: 9 }],
  ['is older than the change that disabled the user', { userVersion: 3, at: -9 }],
])('a missing event that %s is not applied', async (_, { userVersion, at }) => {
  await addDisabled(clock.now());
  keep({ ...change('user_enabled', userVersion, clock.now() + at), id: 1 });
  const losses = await findLosses(ports);
  expect(losses).toMatchObject({ isBehind: false, events: [], outdated: [{ userVersion }] });
});

test('a user who was disabled during the search is not enabled again', async () => {
  await database.users.add({ sub: 'erin', name: null, at: clock.now() });
  keep({ ...change('user_enabled', 3, clock.now()), id: 1 });
  const losses = await findLosses(ports);
  expect(losses.events).toHaveLength(1);
  await database.users.setStatus('erin', 'disabled', clock.now());
  await settle(ports, losses, 'reapplied');
  expect(await status()).toBe('disabled');
});

test('a ban that has an end is applied again with its end', async () => {
  const at = clock.now();
  await database.users.add({ sub: 'erin', name: null, at });
  keep({ ...change('user_disabled', 2, at), disabledUntil: at + 60, id: 1 });
  await settle(ports, await findLosses(ports), 'reapplied');
  expect(await database.users.find('erin')).toMatchObject({ status: 'disabled', disabledUntil: at + 60 });
  clock.advance(60);
  expect(await status()).toBe('enabled');
});

test('a ban that a shorter one replaced is not applied again', async () => {
  const at = clock.now();
  await addDisabled(at);
  keep({ ...change('user_enabled', 3, at + 1), id: 1 });
  keep({ ...change('user_disabled', 4, at + 2), disabledUntil: at + 60, id: 2 });
  await settle(ports, await findLosses(ports), 'reapplied');
  expect(await database.users.find('erin')).toMatchObject({
    ...{ status: 'disabled', disabledUntil: at + 60, version: 4 },
  });
});

test('a ban since the restore is not shortened by a lost one', async () => {
  const at = clock.now();
  keep({ ...change('user_disabled', 3, at - 2), disabledUntil: at + 60, id: 1 });
  await addDisabled(at);
  await settle(ports, await findLosses(ports), 'reapplied');
  const erin = await database.users.find('erin');
  expect(erin).toMatchObject({ status: 'disabled', version: 3 });
  expect(erin?.disabledUntil).toBeUndefined();
});

test('of two changes with one version, the one that enables the user does not win', async () => {
  await database.users.add({ sub: 'erin', name: null, at: clock.now() });
  keep({ ...change('user_enabled', 3, clock.now() + 1), id: 1 });
  keep({ ...change('user_disabled', 3, clock.now() + 2), id: 2 });
  await settle(ports, await findLosses(ports), 'reapplied');
  expect(await status()).toBe('disabled');
});

test('a foreign value in place of events is reported, and the other events are applied', async () => {
  foreign.push('jwt:events:9');
  keep({ ...revocation('j1'), id: 1 });
  const losses = await findLosses(ports);
  expect(losses).toMatchObject({ events: [{ jti: 'j1' }], unverified: { foreignKeys: ['jwt:events:9'] } });
});
