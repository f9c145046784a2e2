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
 * connections to an old primary. A server that was read-only from the start may be a replica for verifiers. It is
 * relied on once it has reached a mark in Redis.
 *
 * A mark in Redis may be forged. So it only causes reads, "unavailable" for keys and users that the database lacks,
 * and "unavailable" for all on a read-only server that has not reached one yet.
 */
export class DatabaseWatch {
  readonly #ports: DatabaseWatchPorts;
  #server: DatabaseServer | null = null;
  #reason: { text: string; isHint: boolean } | null = null;
  #redialedAt = Number.NEGATIVE_INFINITY;
  #hintSeconds = REDIAL_SECONDS;
  #mark: HighWaterMark | null = null;
  #readingMarks: Promise<void> | null = null;
  #isConfirmed = false;
  #unconfirmedSince: number | null = null;
  /** Whether the last read came from another server than the one before. Some connections may still lead there. */
  #isSwitched = false;
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
    if (before === null || found === null) return;
    this.#isSwitched = found.id !== before.id;
    this.#reason = whyRedial(before, found) ?? this.#reason;
  }

  /** Returns whether the log must be read again from its beginning. */
  evaluate(): boolean {
    const { keys, tail, clock } = this.#ports;
    const isSettled = this.#recoveredAt !== null && keys.recoveredAt > this.#recoveredAt;
    this.#recoveredAt = Math.max(this.#recoveredAt ?? 0, keys.recoveredAt);
    if (isSettled) tail.startAnew();
    tail.keepAll(keys.isBehind);
    this.#recordBehind(keys.isBehind || tail.isBehind, isSettled);
    this.#checkConfirmed(clock.now(), this.#checkMark(clock.now()));
    this.#redialIfDue();
    return isSettled;
  }

  /** False for a read-only server that has reached no mark in Redis: it may be an old primary, or a replica that has stopped. */
  get isConfirmed(): boolean {
    return this.#isConfirmed;
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

  /**
   * Returns how far the last event that was read is behind the mark in Redis, in ids, not all of which have an event.
   * Null without a mark.
   */
  get eventsBehind(): number | null {
    const { keys, tail, clock } = this.#ports;
    if (this.#mark === null) return null;
    const { recoveredAt, lastEvent } = this.#mark;
    if (lastEvent === null || recoveredAt !== keys.recoveredAt || lastEvent.expiresAt <= clock.now())
      return 0;
    return Math.max(0, lastEvent.id - tail.progress.position);
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

  #checkConfirmed(now: number, isMarkReached: boolean): void {
    const { marks, warn } = this.#ports;
    const isReadOnly = marks !== null && this.#server?.isReadOnly === true;
    this.#isConfirmed = isReadOnly
      ? this.#mark !== null && (this.#isConfirmed || isMarkReached)
      : this.#isConfirmed || !this.#isSwitched;
    if (!this.#isConfirmed) {
      this.#reason ??= { text: UNCONFIRMED, isHint: false };
      this.#unconfirmedSince ??= now;
    } else if (this.#unconfirmedSince !== null) {
      this.#unconfirmedSince = null;
      warn('The state of MySQL is confirmed. The verifier relies on it again.');
    }
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

  /** Returns whether the database has reached the last mark, or the one that was awaited. */
  #checkMark(now: number): boolean {
    const before = this.#awaited;
    const isMet = !this.#isAhead(before?.mark ?? null);
    if (isMet)
      this.#awaited = this.#isAhead(this.#mark) ? { mark: this.#mark as HighWaterMark, since: now } : null;
    if (isMet && this.#awaited === null) this.#hintSeconds = REDIAL_SECONDS;
    // New marks may come faster than a replica that keeps up reaches them.
    const isReached = isMet && (before !== null || this.#awaited === null);
    if (this.#awaited === null || this.#behindSince !== null) return isReached;
    if (now - this.#awaited.since >= MAX_LAG_SECONDS)
      this.#reason ??= {
        text: `For ${MAX_LAG_SECONDS} s, MySQL has lacked changes that Redis has recorded`,
        isHint: true,
      };
    return isReached;
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
    const isMixed = this.#isSwitched && !this.#isConfirmed;
    if (!isMixed && since >= 0 && since < (isHint ? this.#hintSeconds : REDIAL_SECONDS)) return;
    if (isHint) this.#hintSeconds = Math.min(2 * this.#hintSeconds, MAX_REDIAL_SECONDS);
    database.redial();
    warn(`${text}. Reopening all connections to it.`);
    this.#redialedAt = now;
    this.#reason = null;
  }
}

const UNCONFIRMED = 'MySQL is read-only, and no high-water mark in Redis shows that MySQL has all changes';

function whyRedial(before: DatabaseServer, found: DatabaseServer): { text: string; isHint: false } | null {
  if (found.id !== before.id) return { text: 'A different MySQL server responds', isHint: false };
  if (!found.isReadOnly || before.isReadOnly) return null;
  return { text: 'MySQL no longer accepts writes', isHint: false };
}

/** Parses a mark without checking its MAC. */
function parsed(stored: string | null): HighWaterMark | null {
  return stored === null ? null : parseMark(textOf(stored));
}
