import type { SigningKey } from '../model/signing-key.js';
import type { AuditLog, AuditRow, SecurityEvent, SecurityEventType, User } from '../ports/index.js';

/** Thousands of tokens may end in one second. */
const MOST_ROWS = 10_000;

/** Reads the audit rows of these times, the newest first, and at most 10,000 of each: a busy time must not hide the others. */
export async function readRowsAt(
  auditLog: Pick<AuditLog, 'list'>,
  times: Iterable<number | null | undefined>,
): Promise<AuditRow[]> {
  const at = [...new Set(times)].filter((time) => typeof time === 'number');
  const rows = await Promise.all(at.map((time) => rowsAt(auditLog, time)));
  return rows.flat().sort((a, b) => b.seq - a.seq);
}

async function rowsAt(auditLog: Pick<AuditLog, 'list'>, time: number): Promise<AuditRow[]> {
  const rows: AuditRow[] = [];
  for await (const row of auditLog.list({ at: [time] })) {
    rows.push(row);
    if (rows.length === MOST_ROWS) break;
  }
  return rows;
}

/**
 * Finds the audit row that was written with an event: who caused it. Both have the same time and reason. Null if the row
 * was pruned, or a recovery recorded the event again.
 *
 * @param rows the newest first
 * @param kid the key of the token that the event covers
 */
export function originOf(
  event: SecurityEvent,
  rows: readonly AuditRow[],
  kid: string | null = null,
): AuditRow | null {
  const actions = ACTIONS[event.type] ?? [];
  const written = rows.filter(
    ({ at, action, reason }) =>
      at === event.at &&
      actions.includes(action) &&
      // The event of a purge has a reason of its own.
      (reason === event.reason || action === 'keys.purge'),
  );
  for (const isTarget of targetsOf(event, kid)) {
    const own = written.filter(({ target }) => isTarget(target));
    // Each change of a user has its event, but a revocation that is repeated has none.
    const row = isUserChange(event.type) ? own[0] : own.at(-1);
    if (row !== undefined) return row;
  }
  return null;
}

const ENDING = ['token.revoke', 'token.refresh', 'users.remove'];

/** The commands that record such events. */
const ACTIONS: Partial<Record<SecurityEventType, readonly string[]>> = {
  token_revoked: ENDING,
  family_revoked: ENDING,
  subject_revoked: ENDING,
  kid_revoked: ['token.revoke', 'keys.purge'],
  all_revoked: ['token.revoke'],
  key_compromised: ['keys.compromise'],
  user_disabled: ['users.disable'],
  user_enabled: ['users.enable'],
  user_removed: ['users.remove'],
};

export function isUserChange(type: SecurityEventType): boolean {
  return type === 'user_disabled' || type === 'user_enabled' || type === 'user_removed';
}

type IsTarget = (target: string) => boolean;

/** What the row may name, the most exact first. */
function targetsOf(
  { type, sub, jti, kid, issuedBefore, except }: SecurityEvent,
  tokenKid: string | null,
): IsTarget[] {
  const is = (text: string | null) => (target: string) => target === text;
  switch (type) {
    case 'token_revoked':
    case 'family_revoked':
      // A revocation of many tokens also names those that its own event does not cover.
      return [
        is(`${sub} ${jti}`),
        is(sub),
        (target) => isFollowed(target, sub, 'except'),
        is(tokenKid),
        (target) => isFollowed(target, 'issued', 'before'),
      ];
    case 'user_disabled':
      return [is(sub), (target) => isFollowed(target, sub, 'until')];
    case 'subject_revoked':
      return [is(except ? `${sub} except ${except}` : sub)];
    default:
      return [is(sub ?? kid ?? `issued before ${issuedBefore}`)];
  }
}

/** Whether the target is `alice until 1796006897`, for example. */
function isFollowed(target: string, start: string | null, word: string): boolean {
  const begin = `${start} ${word} `;
  return target.startsWith(begin) && /^\S+$/.test(target.slice(begin.length));
}

/**
 * Finds who disabled a user, by the time of the user's last change: the event may have expired. Null if the row was
 * pruned, or another change came later.
 *
 * @param rows the newest first
 */
export function disablingOf(user: User, rows: readonly AuditRow[]): AuditRow | null {
  const { sub, status, updatedAt, disabledUntil } = user;
  if (status !== 'disabled') return null;
  const targets = [sub, `${sub} until ${disabledUntil}`];
  const last = rows.find(
    ({ at, action, target }) =>
      at === updatedAt &&
      (action === 'users.disable' || action === 'users.enable') &&
      targets.includes(target),
  );
  return last?.action === 'users.disable' ? last : null;
}

/** The times at which the key changed its state. */
export function timesOf(key: SigningKey): Array<number | null> {
  return [key.createdAt, key.activatedAt, key.retiringAt, key.retiredAt, key.compromisedAt];
}

/** Returns who changed the state of the key, the newest first. */
export function historyOf(key: SigningKey, rows: readonly AuditRow[]): AuditRow[] {
  const times = timesOf(key);
  return rows.filter(
    ({ at, action, target }) => target === key.kid && action.startsWith('keys.') && times.includes(at),
  );
}
