import { expect, test } from 'vitest';
import { eventOf } from '../../../src/domain/event-stream/event.js';
import { parsePosition, positionText } from '../../../src/domain/event-stream/position.js';
import type { AuditRow } from '../../../src/domain/ports/index.js';

function row(parts: Partial<AuditRow>): AuditRow {
  return {
    ...{ seq: 482, at: 1_700_000_000, actor: 'ops', login: 'root@web-1', action: 'token.revoke' },
    ...{ target: 'alice j1', outcome: 'done', reason: null, macKeyId: null },
    ...{ previousHash: 'a'.repeat(64), hash: '9f3c21d0aa11bb22'.repeat(4) },
    ...parts,
  };
}

test('a refused refresh names the session that has ended', () => {
  const reason = 'A refresh token was used again.';
  const parts = { action: 'token.refresh', outcome: 'reused', reason, target: 'alice f1' };
  expect(eventOf(row({ ...parts, details: '{"sub":"alice","session":"f1"}' }))).toEqual({
    ...{ position: '482-9f3c21d0aa11bb22', at: 1_700_000_000, event: 'refresh.refused' },
    ...{ sub: 'alice', session: 'f1', actor: 'ops', action: 'token.refresh', reason },
  });
});

test.each([
  ['users.add', 'done'],
  ['token.issue', 'done'],
  ['cache.flush', 'begun'],
  ['audit.prune', 'done'],
  ['keys.rewrap', 'done'],
  ['keys.compromise', 'entries removed'],
])('a row of %s with the outcome %s is no event', (action, outcome) => {
  expect(eventOf(row({ action, outcome }))).toBeNull();
});

test.each(['{', 'null', '[]', '"x"', '{"sub":{"a":1},"event":"user.enabled","token":"secret"}'])(
  'an event has no details if another program wrote %s',
  (details) => {
    const event = eventOf(row({ details }));
    expect(event).toEqual(eventOf(row({ details: '{}' })));
    expect(event).toMatchObject({ event: 'token.revoked' });
  },
);

test('reads back each position', () => {
  const position = { seq: 482, hash: '9f3c21d0aa11bb22' };
  expect(parsePosition(positionText(position))).toEqual(position);
  expect(parsePosition('0')).toEqual({ seq: 0, hash: '' });
  for (const text of ['', '-1', '1-', '1-ABCDEF0123456789', '1-9f3c', 'now', '1'.repeat(16)])
    expect(parsePosition(text), text).toBeNull();
});

test('a position of which only the number is known is this number', () => {
  expect(positionText({ seq: 99, hash: '' })).toBe('99');
  expect(parsePosition(positionText({ seq: 99, hash: '' }))).toEqual({ seq: 99, hash: '' });
});
