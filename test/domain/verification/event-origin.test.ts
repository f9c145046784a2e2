import { describe, expect, test } from 'vitest';
import type { AuditRow, SecurityEvent, SecurityEventType } from '../../../src/domain/ports/index.js';
import { originOf, readRowsAt } from '../../../src/domain/verification/event-origin.js';

const AT = 1_700_000_000;

function event(type: SecurityEventType, parts: Partial<SecurityEvent> = {}): SecurityEvent {
  const none = { sub: null, jti: null, kid: null, issuedBefore: null, userVersion: null, reason: null };
  return { id: 1, type, ...none, at: AT, expiresAt: AT + 9_999, ...parts };
}

let seq = 0;
function row(actor: string, action: string, target: string, parts: Partial<AuditRow> = {}): AuditRow {
  seq += 1;
  const chain = { macKeyId: null, previousHash: '', hash: '' };
  return {
    seq,
    at: AT,
    actor,
    login: 'root',
    action,
    target,
    outcome: 'done',
    reason: null,
    ...chain,
    ...parts,
  };
}

const newestFirst = (...rows: AuditRow[]) => rows.reverse();

describe('the audit row that was written with an event', () => {
  const revoked = event('token_revoked', { sub: 'alice', jti: 'j1', reason: 'lost' });

  test('has the reason of the event', () => {
    const rows = newestFirst(
      row('bob', 'token.revoke', 'alice j1', { reason: 'lost' }),
      row('dave', 'token.revoke', 'alice j1', { reason: 'stolen' }),
    );
    expect(originOf(revoked, rows)?.actor).toBe('bob');
    expect(originOf({ ...revoked, reason: 'stolen' }, rows)?.actor).toBe('dave');
    expect(originOf({ ...revoked, reason: 'another' }, rows)).toBeNull();
  });

  test('is the first of two equal revocations, because a repeated one records no event', () => {
    const rows = newestFirst(
      row('bob', 'token.revoke', 'alice j1', { reason: 'lost' }),
      row('dave', 'token.revoke', 'alice j1', { reason: 'lost' }),
    );
    expect(originOf(revoked, rows)?.actor).toBe('bob');
  });

  test.each([
    ['the subject', 'token.revoke', 'alice'],
    ['the subject, removed', 'users.remove', 'alice'],
    ['the other tokens of the subject', 'token.revoke', 'alice except 8f14e45f'],
    ['the key', 'token.revoke', 'k1'],
    ['all tokens', 'token.revoke', 'issued before 1700000000'],
  ])('names %s, if that revocation named the token', (_, action, target) => {
    const rows = newestFirst(
      row('bob', action, target, { reason: 'lost' }),
      row('dave', 'token.revoke', 'alice2', { reason: 'lost' }),
    );
    expect(originOf(revoked, rows, 'k1')?.actor).toBe('bob');
  });

  test('has the action that records such an event', () => {
    const rows = newestFirst(
      row('bob', 'users.disable', 'alice until 1700000060'),
      row('dave', 'users.enable', 'alice'),
    );
    expect(originOf(event('user_disabled', { sub: 'alice' }), rows)?.actor).toBe('bob');
    expect(originOf(event('user_enabled', { sub: 'alice' }), rows)?.actor).toBe('dave');
    expect(originOf(event('user_removed', { sub: 'alice' }), rows)).toBeNull();
  });

  test('is that of the purge of a key, whose event has a reason of its own', () => {
    const purge = event('kid_revoked', { kid: 'k1', reason: 'The key was purged.' });
    expect(originOf(purge, [row('bob', 'keys.purge', 'k1')])?.actor).toBe('bob');
    expect(originOf(purge, [row('bob', 'keys.purge', 'k2')])).toBeNull();
  });
});

test('reads at most 10,000 rows of each time, the newest first, and none without a time', async () => {
  let read = 0;
  const asked: unknown[] = [];
  async function* list(filter: unknown) {
    asked.push(filter);
    for (;;) {
      read += 1;
      yield row('bob', 'token.revoke', 'alice');
    }
  }
  expect(await readRowsAt({ list }, [null, undefined])).toEqual([]);
  const rows = await readRowsAt({ list }, [AT, null, AT, AT + 1]);
  expect(rows).toHaveLength(20_000);
  expect(rows[0]?.seq).toBeGreaterThan(rows.at(-1)?.seq ?? 0);
  expect(asked).toEqual([{ at: [AT] }, { at: [AT + 1] }]);
  expect(read).toBe(20_000);
});
