import type { AuditLog, AuditRow } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { eventOf, type StreamEvent } from './event.js';
import { isAt, positionText, type StreamPosition } from './position.js';

export type ReadableAuditLog = Pick<AuditLog, 'head' | 'rows' | 'lastUpTo'>;

export interface EventPage {
  events: StreamEvent[];
  /** Where the next page begins. */
  end: StreamPosition;
}

/** As many rows as the audit log reads at once. */
const PAGE = 1_000;

/**
 * Returns the events after the position, at most those of 1,000 rows; null if there is no later row yet.
 *
 * Every writer holds the lock of the last row until it commits, so rows appear in the order of their numbers, and no row
 * appears later below another one. Rows beyond the last one come from another program.
 * @throws JwtctlError (state) `ERR_POSITION_PRUNED` if later rows were pruned; `ERR_POSITION_UNKNOWN`
 */
export async function readEvents(
  auditLog: ReadableAuditLog,
  position: StreamPosition,
): Promise<EventPage | null> {
  const head = await auditLog.head();
  if (isAt(head, position)) return null;
  if (head.seq <= position.seq) throw unknownPosition(position);
  const rows: AuditRow[] = [];
  for await (const row of auditLog.rows({ firstSeq: position.seq + 1, lastSeq: head.seq })) {
    rows.push(row);
    if (rows.length === PAGE) break;
  }
  const [first] = rows;
  if (first !== undefined && !first.previousHash.startsWith(position.hash))
    await assertFollows(auditLog, position, first);
  // A lagging replica may have answered. Its rows come later.
  const last = rows.at(-1);
  return last === undefined ? null : { events: rows.flatMap((row) => eventOf(row) ?? []), end: last };
}

/**
 * Checks a position that a user gave, and completes it.
 * @throws JwtctlError (state) `ERR_POSITION_PRUNED`, `ERR_POSITION_UNKNOWN`
 */
export async function findPosition(
  auditLog: ReadableAuditLog,
  position: StreamPosition,
): Promise<StreamPosition> {
  if (position.seq === 0) return position;
  const head = await auditLog.head();
  if (position.seq > head.seq) throw unknownPosition(position);
  const row = await auditLog.lastUpTo(position.seq);
  if (row !== null && (row.seq < position.seq || isAt(row, position))) return row;
  if (row !== null) throw unknownPosition(position);
  const oldest = await oldestPosition(auditLog);
  if (isAt(oldest, position)) return oldest;
  throw pruned(position, oldest);
}

/** Returns the position before the oldest row. */
async function oldestPosition(auditLog: ReadableAuditLog): Promise<StreamPosition> {
  for await (const row of auditLog.rows({ firstSeq: 1, lastSeq: Number.MAX_SAFE_INTEGER }))
    return before(row);
  return auditLog.head();
}

/** Called if the next row does not name the row at the position as the one before it. */
async function assertFollows(
  auditLog: ReadableAuditLog,
  position: StreamPosition,
  next: AuditRow,
): Promise<void> {
  const row = await auditLog.lastUpTo(position.seq);
  if (row === null) throw pruned(position, before(next));
  if (row.seq === position.seq && !isAt(row, position)) throw unknownPosition(position);
  // Otherwise the log is damaged, which `audit verify` reports. No row after the position is missed.
}

function before({ seq, previousHash }: AuditRow): StreamPosition {
  return { seq: seq - 1, hash: previousHash };
}

function pruned(position: StreamPosition, oldest: StreamPosition): JwtctlError {
  return new JwtctlError(
    'ERR_POSITION_PRUNED',
    `The audit log was pruned beyond position ${positionText(position)}. The oldest position is ${positionText(oldest)}.`,
    { details: { position: positionText(position), oldest: positionText(oldest) } },
  );
}

function unknownPosition(position: StreamPosition): JwtctlError {
  return new JwtctlError(
    'ERR_POSITION_UNKNOWN',
    `The audit log has no position ${positionText(position)}. It belongs to another database, or this one was restored from a backup.`,
    { details: { position: positionText(position) } },
  );
}
