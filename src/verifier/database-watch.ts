import type { Clock, Database, DatabaseServer } from '../domain/ports/index.js';
import type { MarkStore } from '../domain/ports/mark-store.js';
import { type HighWaterMark, higherMark, parseMark, textOf } from '../domain/recovery/high-water-marks.js';
import { JwtctlError } from '../domain/shared/errors.js';
import type { LastHealth } from './health.js';
import type { KeyCache } from './key-cache.js';
import type { SecurityLogTail } from './security-log-tail.js';

/** Shortest time between two reconnects. It doubles after each reconnect for a hint. */
const REDIAL_SECONDS = 10;
const MAX_REDIAL_SECONDS = 300;
const MAX_LAG_SECONDS = 3;

export interface DatabaseWatchPorts {
  database: Pick<Database, 'server' | 'redial'>;
  keys: KeyCache;
  tail: SecurityLogTail;
  marks: Pick<MarkStore, 'read'> | null;
  clock: Pick<Clock, 'now'>;
  warn(text: string): void;
}

/**
 * Detects an old primary, a lagging replica, and a restored backup. Reconnects, because a proxy may keep
 * connections to an old primary. A server that was read-only from the start may be a replica for verifiers, which
 * a mark in Redis confirms.
 *
 * A mark in Redis may be forged. So it only causes reads and "unavailable" for keys and users that the
 * database lacks.
 */
export class DatabaseWatch {
  readonly #ports: DatabaseWatchPorts;
  #server: DatabaseServer | null = null;
  #reason: { text: string; isHint: boolean } | null = null;
  #redialedAt = Number.NEGATIVE_INFINITY;
  #hintSeconds = REDIAL_SECONDS;
  #mark: HighWaterMark | null = null;
  #readingMarks: Promise<void> | null = null;
  #unconfirmedSince: number | null = null;
  #awaited: { mark: HighWaterMark; since: number } | null = null;
  #behindSince: number | null = null;
  #recoveredAt: number | null = null;

  constructor(ports: DatabaseWatchPorts) {
    this.#ports = ports;
  }

  async checkServer(): Promise<void> {
    const reading = this.#readMarks();
    const before = this.#server;
    const found = await this.#ports.database.server();
    // Without a mark, nothing can be verified on a read-only server, so nothing waits for this read.
    if (found?.isReadOnly === true && this.#mark === null) await reading;
    this.#server = found;
    if (before !== null && found !== null) this.#reason = whyRedial(before, found) ?? this.#reason;
  }

  /** Returns whether the log must be read again from its beginning. */
  evaluate(): boolean {
    const { keys, tail, clock } = this.#ports;
    const isSettled = this.#recoveredAt !== null && keys.recoveredAt > this.#recoveredAt;
    this.#recoveredAt = Math.max(this.#recoveredAt ?? 0, keys.recoveredAt);
    if (isSettled) tail.startAnew();
    tail.keepAll(keys.isBehind);
    this.#recordBehind(keys.isBehind || tail.isBehind, isSettled);
    this.#checkMark(clock.now());
    this.#checkConfirmed(clock.now());
    this.#redialIfDue();
    return isSettled;
  }

  /** False for a read-only server while Redis has no mark: it may be an old primary, or a replica that has stopped. */
  get isConfirmed(): boolean {
    return this.#unconfirmedSince === null;
  }

  health(database: LastHealth): LastHealth {
    if (this.#unconfirmedSince !== null && database.state !== 'down')
      return {
        ...database,
        ...{ state: 'down', since: this.#unconfirmedSince, code: 'ERR_DATABASE_UNCONFIRMED' },
      };
    if (this.#behindSince === null || database.state !== 'up') return database;
    return { ...database, state: 'degraded', since: this.#behindSince, code: 'ERR_DATABASE_BEHIND' };
  }

  /** Throws `ERR_DATABASE_STALE` (unavailable) if a row that the database lacks may exist. */
  assertComplete(): void {
    if (!this.#isAhead(this.#mark)) return;
    const message =
      'MySQL lacks changes that Redis has recorded, so a key or user that MySQL does not have may exist.';
    throw new JwtctlError('ERR_DATABASE_STALE', message);
  }

  /** @throws JwtctlError `ERR_DATABASE_UNCONFIRMED` (unavailable) */
  assertConfirmed(): void {
    if (!this.isConfirmed) throw new JwtctlError('ERR_DATABASE_UNCONFIRMED', `${UNCONFIRMED}.`);
  }

  #checkConfirmed(now: number): void {
    const { marks, warn } = this.#ports;
    const isConfirmed = marks === null || this.#server?.isReadOnly !== true || this.#mark !== null;
    if (!isConfirmed) this.#reason ??= { text: UNCONFIRMED, isHint: false };
    if (isConfirmed === this.isConfirmed) return;
    this.#unconfirmedSince = isConfirmed ? null : now;
    if (isConfirmed) warn('The state of MySQL is confirmed. The verifier relies on it again.');
  }

  #recordBehind(isBehind: boolean, isSettled: boolean): void {
    const { clock, warn } = this.#ports;
    if (isBehind === (this.#behindSince !== null)) return;
    this.#behindSince = isBehind ? clock.now() : null;
    warn(
      isBehind
        ? 'MySQL lacks changes that this verifier has read: it was restored from a backup, is an old primary, or lags behind. The verifier keeps what it has read. If this lasts, run `jwtctl db recover`.'
        : `MySQL ${isSettled ? 'has been recovered' : 'has caught up'}. The verifier relies on it again.`,
    );
  }

  /** Runs in the background, because a hung registry must not delay reads of the database. */
  #readMarks(): Promise<void> {
    const { marks } = this.#ports;
    if (marks === null) return Promise.resolve();
    this.#readingMarks ??= marks
      .read()
      .then(({ mark, hint }) => {
        this.#mark = higherMark(parsed(mark), parsed(hint));
      })
      .catch(() => {})
      .finally(() => {
        this.#readingMarks = null;
      });
    return this.#readingMarks;
  }

  #checkMark(now: number): void {
    const isMet = !this.#isAhead(this.#awaited?.mark ?? null);
    if (isMet)
      this.#awaited = this.#isAhead(this.#mark) ? { mark: this.#mark as HighWaterMark, since: now } : null;
    if (isMet && this.#awaited === null) this.#hintSeconds = REDIAL_SECONDS;
    if (this.#awaited === null || this.#behindSince !== null) return;
    if (now - this.#awaited.since >= MAX_LAG_SECONDS)
      this.#reason ??= {
        text: `For ${MAX_LAG_SECONDS} s, MySQL has lacked changes that Redis has recorded`,
        isHint: true,
      };
  }

  #isAhead(mark: HighWaterMark | null): boolean {
    if (mark === null) return false;
    const { keys, tail, clock } = this.#ports;
    if (mark.recoveredAt !== keys.recoveredAt) return mark.recoveredAt > keys.recoveredAt;
    const { id = 0, expiresAt = 0 } = mark.lastEvent ?? {};
    return mark.revision > keys.revision || (id > tail.progress.position && expiresAt > clock.now());
  }

  /** Limits reconnects, which do not help if a balancer gives each connection a different server. */
  #redialIfDue(): void {
    const { database, clock, warn } = this.#ports;
    const now = clock.now();
    const since = now - this.#redialedAt;
    if (this.#reason === null) return;
    const { text, isHint } = this.#reason;
    if (since >= 0 && since < (isHint ? this.#hintSeconds : REDIAL_SECONDS)) return;
    if (isHint) this.#hintSeconds = Math.min(2 * this.#hintSeconds, MAX_REDIAL_SECONDS);
    database.redial();
    warn(`${text}. Reopening all connections to it.`);
    this.#redialedAt = now;
    this.#reason = null;
  }
}

const UNCONFIRMED =
  'MySQL is read-only, and Redis has no high-water mark to show whether MySQL has all changes';

function whyRedial(before: DatabaseServer, found: DatabaseServer): { text: string; isHint: false } | null {
  if (found.id !== before.id) return { text: 'A different MySQL server responds', isHint: false };
  if (!found.isReadOnly || before.isReadOnly) return null;
  return { text: 'MySQL no longer accepts writes', isHint: false };
}

/** Parses a mark without checking its MAC. */
function parsed(stored: string | null): HighWaterMark | null {
  return stored === null ? null : parseMark(textOf(stored));
}
