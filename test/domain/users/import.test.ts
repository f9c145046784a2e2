import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addUsers, type NewUser, planUsers } from '../../../src/domain/users/import.js';
import { removeUser, setUserStatus } from '../../../src/domain/users/manage.js';
import { collect } from '../../support/collect.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';

const NO_REASON = { reason: null, dryRun: false };

let service: EmbeddedService;

beforeEach(async () => {
  service = await openEmbeddedService();
});
afterEach(() => service.close());

function named(...subs: string[]): NewUser[] {
  return subs.map((sub) => ({ sub, name: null }));
}

async function versions(...subs: string[]): Promise<Array<number | undefined>> {
  const found = await service.database.users.findMany(subs);
  return subs.map((sub) => found.get(sub)?.version);
}

test('adds the missing users, and leaves the others unchanged', async () => {
  const at = service.clock.now();
  await service.database.users.add({ sub: 'bob', name: 'Bob', at });
  await service.database.users.setStatus('bob', 'disabled', at);
  service.clock.advance(5);
  const outcomes = await addUsers(service.ports, [
    { sub: 'alice', name: 'Alice' },
    { sub: 'bob', name: 'Robert' },
    { sub: 'carol', name: null },
  ]);
  expect(outcomes).toEqual(['added', 'existing', 'added']);
  expect(await collect(service.database.users.list())).toMatchObject([
    { sub: 'alice', name: 'Alice', status: 'enabled', version: 1, createdAt: at + 5 },
    { sub: 'bob', name: 'Bob', status: 'disabled', version: 2, createdAt: at },
    { sub: 'carol', name: null, status: 'enabled', version: 1 },
  ]);
});

test('uses the first of several rows for one subject', async () => {
  const rows = [
    { sub: 'alice', name: 'first' },
    { sub: 'Alice', name: 'another' },
    { sub: 'alice', name: 'second' },
  ];
  expect(await addUsers(service.ports, rows)).toEqual(['added', 'added', 'existing']);
  expect(await service.database.users.find('alice')).toMatchObject({ name: 'first' });
});

test('adds no user the second time or for an empty list', async () => {
  await addUsers(service.ports, named('alice', 'bob'));
  const before = await collect(service.database.users.list());
  expect(await addUsers(service.ports, named('alice', 'bob'))).toEqual(['existing', 'existing']);
  expect(await addUsers(service.ports, [])).toEqual([]);
  expect(await collect(service.database.users.list())).toEqual(before);
});

test('continues the versions of removed users with the same names', async () => {
  await addUsers(service.ports, named('alice', 'bob', 'carol'));
  await setUserStatus(service.ports, POLICY, { sub: 'bob', status: 'disabled', ...NO_REASON });
  for (const sub of ['alice', 'bob', 'carol']) {
    await removeUser(service.ports, POLICY, { sub, ...NO_REASON });
  }
  await addUsers(service.ports, named('dave', 'carol', 'bob', 'alice'));
  expect(await versions('alice', 'bob', 'carol', 'dave')).toEqual([3, 4, 3, 1]);
});

test('writes no audit row', async () => {
  await addUsers(service.ports, named('alice'));
  const rows = await service.db.selectFrom('audit_log').select('action').execute();
  expect(rows.filter(({ action }) => action.startsWith('users.'))).toEqual([]);
});

describe('a plan', () => {
  test('returns the outcomes and adds no user', async () => {
    await addUsers(service.ports, named('bob'));
    expect(await planUsers(service.ports, named('alice', 'bob', 'alice'))).toEqual([
      'added',
      'existing',
      'existing',
    ]);
    expect(await service.database.users.find('alice')).toBeNull();
  });
});
