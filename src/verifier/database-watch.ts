import type { Clock, Database, DatabaseServer } from '../domain/ports/index.js';
import type { MarkStore, StoredMarks } from '../domain/ports/mark-store.js';
import { type HighWaterMark, higherMark, parseMark, textOf } from '../domain/recovery/high-water-marks.js';
import { JwtctlError } from '../domain/shared/errors.js';
import type { LastHealth } from './health.js';
import type { KeySet } from './key-set.js';
import type { SecurityLogTail } from './security-log-tail.js';

/** The shortest time between two reconnects to the database, in seconds. It doubles after each reconnect for a hint. */
const REDIAL_SECONDS = 10;
const LONGEST_REDIAL_SECONDS = 300;
/** How far a replica may lag behind, in seconds. */
const LAG_SECONDS = 3;

export interface DatabaseWatchPorts {
  database: Pick<Database, 'server' | 'redial'>;
  keys: KeySet;
  tail: SecurityLogTail;
  /** Null if the registry is in the database file. */
  marks: Pick<MarkStore, 'read'> | null;
  clock: Pick<Clock, 'now'>;
  /** Called with a one-line warning. */
  warn(text: string): void;
}

/**
 * Detects a database that is out of date.
 *
 * **A planned switchover.** Behind a proxy, new connections lead to the new primary, while open ones stay with the old primary
 * and read old data. So the watch reconnects when the server no longer accepts writes, when a different server answers, or when
 * the server lacks changes that Redis has recorded. A server that was read-only from the start may be a replica meant for
 * verifiers: its connections stay open while it keeps up.
 *
 * **A restored backup.** The verifier keeps what it has read and adds what the database has, until `db recover` has run. A
 * lagging replica looks the same at first, but has the missing changes once it has caught up.
 *
 * A verifier has no master keyring, so it cannot tell whether a mark in Redis is forged. A mark therefore only makes it read
 * again, and answer "unavailable" for what the database does not have. A mark never makes it refuse or forget anything.
 */
export class DatabaseWatch {
  readonly #ports: DatabaseWatchPorts;
  #server: DatabaseServer | null = null;
  /** Why to reconnect; a hint if only a mark says so. */
  #reason: { text: string; isHint: boolean } | null = null;
  #redialedAt = Number.NEGATIVE_INFINITY;
  /** The shortest time between two reconnects for hints, which may be forged. */
  #hintSeconds = REDIAL_SECONDS;
  #mark: HighWaterMark | null = null;
  #isReadingMarks = false;
  /** The mark that the database has not reached yet, and since when. */
  #awaited: { mark: HighWaterMark; since: number } | null = null;
  #behindSince: number | null = null;
  #recoveredAt: number | null = null;

  constructor(ports: DatabaseWatchPorts) {
    this.#ports = ports;
  }

  /** @throws errors of the database */
  async look(): Promise<void> {
    this.#readMarks();
    const before = this.#server;
    const found = await this.#ports.database.server();
    this.#server = found;
    if (before !== null && found !== null) this.#reason = whyRedial(before, found) ?? this.#reason;
  }

  /**
   * Evaluates the keys and the log after they have been read.
   *
   * @returns whether the log must be read again from its beginning
   */
  judge(): boolean {
    const { keys, tail, clock } = this.#ports;
    const isSettled = this.#recoveredAt !== null && keys.recoveredAt > this.#recoveredAt;
    this.#recoveredAt = Math.max(this.#recoveredAt ?? 0, keys.recoveredAt);
    if (isSettled) tail.startAnew();
    tail.keepAll(keys.isBehind);
    this.#noteBehind(keys.isBehind || tail.isBehind, isSettled);
    this.#await(clock.now());
    this.#redialIfDue();
    return isSettled;
  }

  health(database: LastHealth): LastHealth {
    if (this.#behindSince === null || database.state !== 'up') return database;
    return { ...database, state: 'degraded', since: this.#behindSince, code: 'ERR_DATABASE_BEHIND' };
  }

  /**
   * Checks whether a row that the database does not have really does not exist.
   *
   * @throws JwtctlError `ERR_DATABASE_STALE` (unavailable)
   */
  assertCertain(): void {
    if (!this.#isAhead(this.#mark)) return;
    throw new JwtctlError(
      'ERR_DATABASE_STALE',
      'MySQL lacks changes that Redis has recorded, so a key or user that it does not have may exist.',
      {
        hint: 'After a switchover, try again in a few seconds. If this error stays, run `jwtctl db recover`.',
      },
    );
  }

  #noteBehind(isBehind: boolean, isSettled: boolean): void {
    const { clock, warn } = this.#ports;
    if (isBehind === (this.#behindSince !== null)) return;
    this.#behindSince = isBehind ? clock.now() : null;
    warn(
      isBehind
        ? 'MySQL lacks changes that this verifier has read: it was restored from a backup, it is an old primary, or it lags. The verifier keeps what it has read. If this lasts, run `jwtctl db recover`.'
        : `MySQL ${isSettled ? 'has been recovered' : 'has caught up'}. The verifier relies on it again.`,
    );
  }

  /** Runs in the background, because a hung registry must not delay reads of the database. */
  #readMarks(): void {
    const { marks } = this.#ports;
    if (marks === null || this.#isReadingMarks) return;
    this.#isReadingMarks = true;
    const take = ({ mark, hint }: StoredMarks) => {
      this.#mark = higherMark(parsed(mark), parsed(hint));
    };
    marks
      .read()
      .then(take)
      .catch(() => {})
      .finally(() => {
        this.#isReadingMarks = false;
      });
  }

  #await(now: number): void {
    const isMet = !this.#isAhead(this.#awaited?.mark ?? null);
    if (isMet)
      this.#awaited = this.#isAhead(this.#mark) ? { mark: this.#mark as HighWaterMark, since: now } : null;
    if (isMet && this.#awaited === null) this.#hintSeconds = REDIAL_SECONDS;
    if (this.#awaited === null || this.#behindSince !== null) return;
    if (now - this.#awaited.since >= LAG_SECONDS)
      this.#reason ??= {
        text: `For ${LAG_SECONDS} s, MySQL has lacked changes that Redis has recorded`,
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

  /** Limits reconnects: behind a balancer that gives each connection a different server, more of them would not help. */
  #redialIfDue(): void {
    const { database, clock, warn } = this.#ports;
    const now = clock.now();
    const since = now - this.#redialedAt;
    if (this.#reason === null) return;
    const { text, isHint } = this.#reason;
    if (since >= 0 && since < (isHint ? this.#hintSeconds : REDIAL_SECONDS)) return;
    if (isHint) this.#hintSeconds = Math.min(2 * this.#hintSeconds, LONGEST_REDIAL_SECONDS);
    database.redial();
    warn(`${text}. Reopening all connections to it.`);
    this.#redialedAt = now;
    this.#reason = null;
  }
}

function whyRedial(before: DatabaseServer, found: DatabaseServer): { text: string; isHint: false } | null {
  if (found.id !== before.id) return { text: 'A different MySQL server answers', isHint: false };
  if (!found.isReadOnly || before.isReadOnly) return null;
  return { text: 'MySQL no longer accepts writes', isHint: false };
}

/** Parses a mark without checking its MAC. */
function parsed(stored: string | null): HighWaterMark | null {
  return stored === null ? null : parseMark(textOf(stored));
}
