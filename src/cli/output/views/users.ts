import type { User } from '../../../domain/ports/index.js';
import { plainColumn, shortenedColumn } from '../columns.js';
import { relativeTime } from '../time.js';
import type { JsonObject, ListItem, ListView, StreamItem, Text, View } from '../view.js';

export function userList(users: AsyncIterable<User>, now: number, empty: string): ListView {
  return {
    shape: 'list',
    items: mapItems(users, now),
    columns: [
      shortenedColumn('sub'),
      shortenedColumn('name', 3),
      'status',
      plainColumn('created', 2),
      plainColumn('updated', 1),
    ],
    empty,
  };
}

export function userRecord(user: User, now: number, dryRun = false): Extract<View, { shape: 'record' }> {
  return {
    shape: 'record',
    data: dryRun ? { ...userData(user), dryRun: true } : userData(user),
    id: user.sub,
    fields: [
      ['sub', user.sub],
      ['name', user.name ?? '-'],
      ['status', statusCell(user)],
      ...(user.disabledUntil === undefined
        ? []
        : [['enabled again', relativeTime(user.disabledUntil, now)] as const]),
      ['created', relativeTime(user.createdAt, now)],
      ['updated', relativeTime(user.updatedAt, now)],
    ],
  };
}

export function removedUser(
  user: User,
  revoked: number,
  now: number,
  dryRun: boolean,
): Extract<View, { shape: 'record' }> {
  const { data, id, fields } = userRecord(user, now, dryRun);
  return {
    shape: 'record',
    id,
    data: { ...data, revoked },
    fields: fields.map(([name, cell]) =>
      name === 'status'
        ? [name, { text: dryRun ? 'would be removed' : 'removed', tone: 'bad' }]
        : [name, cell],
    ),
  };
}

export function refreshedUser(
  { sub, status }: { sub: string; status: string },
  dryRun: boolean,
): Extract<View, { shape: 'record' }> {
  return {
    shape: 'record',
    id: sub,
    data: { sub, status, ...(dryRun ? { dryRun } : {}) },
    fields: [
      ['sub', sub],
      ['status', { text: status, tone: status === 'enabled' ? 'good' : 'bad' }],
    ],
  };
}

export interface ImportedUser {
  sub: string;
  outcome: 'added' | 'existing';
}

export function importedUser({ sub, outcome }: ImportedUser): StreamItem {
  return { data: { sub, outcome }, id: sub };
}

export function userImport(
  outcome: { added: number; existing: number; failed: number; lastLine: number; complete: boolean },
  dryRun: boolean,
): View {
  const { added, existing, failed, lastLine, complete } = outcome;
  return {
    shape: 'record',
    data: { added, existing, failed, lastLine, complete, ...(dryRun ? { dryRun: true } : {}) },
    id: String(added),
    fields: [
      [dryRun ? 'would add' : 'added', String(added)],
      ['existed', String(existing)],
      ['failed', failed === 0 ? '0' : { text: String(failed), tone: 'bad' }],
      ...(complete ? [] : [['stopped after line', { text: String(lastLine), tone: 'warn' }] as const]),
    ],
  };
}

async function* mapItems(users: AsyncIterable<User>, now: number): AsyncGenerator<ListItem> {
  for await (const user of users) {
    const times = [relativeTime(user.createdAt, now), relativeTime(user.updatedAt, now)];
    yield {
      data: userData(user),
      id: user.sub,
      row: [user.sub, user.name ?? '-', statusCell(user), ...times],
    };
  }
}

function userData({ sub, name, status, disabledUntil, createdAt, updatedAt }: User): JsonObject {
  return { sub, name, status, disabledUntil: disabledUntil ?? null, createdAt, updatedAt };
}

function statusCell({ status }: User): Text {
  return { text: status, tone: status === 'enabled' ? 'good' : 'bad' };
}
