import type { Clock, Database } from '../ports/index.js';
import type { MarkStore, StoredMarks } from '../ports/mark-store.js';
import { JwtctlError } from '../shared/errors.js';
import { ifReachable } from '../shared/unavailable.js';
import { type HighWaterMark, isBehind, parseMark, readAuthenticated, textOf } from './high-water-marks.js';
import type { MacKeySource } from './record-marks.js';

/** How long a server may take to show changes from another one, in milliseconds. */
const PATIENCE_MS = 2_000;
const LOOK_EVERY_MS = 250;
/** How long a judgment is valid, in seconds. Restoring a backup does not change the marks. */
const JUDGED_FOR_SECONDS = 1;
/** An unauthenticated hint causes at most one reconnect per this time, in seconds. */
const REDIAL_SECONDS = 10;

export interface DatabaseGuardPorts {
  database: Pick<Database, 'heads' | 'auditLog' | 'redial'>;
  /** Null if the database file contains the registry, because a backup then restores both. */
  marks: MarkStore | null;
  prefix: string;
  macKeys: MacKeySource;
  clock: Pick<Clock, 'now' | 'pause'>;
}

export type MarkComparison =
  | 'current'
  | 'behind'
  /** Redis did not answer. */
  | 'unreachable'
  /** Redis has no mark that this keyring can verify. */
  | 'no_mark'
  /** The database file contains the registry, so there are no marks. */
  | 'not_applicable';

/** Concurrent callers share a judgment. */
interface Judgment {
  stored: StoredMarks;
  at: number | null;
  revision: Promise<number>;
}

/** Blocks granting access on a database that lacks revocations: a restored backup, or an old primary. */
export class DatabaseGuard {
  readonly #ports: DatabaseGuardPorts;
  #judgment: Judgment | null = null;
  #redialedAt = Number.NEGATIVE_INFINITY;

  constructor(ports: DatabaseGuardPorts) {
    this.#ports = ports;
  }

  /**
   * Reads the marks with one command, and the database once per second or if the marks have changed.
   * @returns a revision that the key store has reached
   * @throws JwtctlError `ERR_DATABASE_BEHIND` (state); errors of the stores
   */
  async assertCurrent(): Promise<number> {
    const { marks, clock } = this.#ports;
    if (marks === null) return 0;
    // One master may be down while the others serve. Without Redis, nothing can be compared or registered.
    const stored = await ifReachable(() => marks.read(), null);
    const last = this.#judgment;
    if (stored === null) return (await last?.revision) ?? 0;
    if (last !== null && isSame(stored, last.stored) && !isOver(last, clock.now())) return last.revision;
    const begunAt = clock.now();
    const judgment: Judgment = { stored, at: null, revision: this.#judge(stored) };
    this.#judgment = judgment;
    try {
      const revision = await judgment.revision;
      judgment.at = begunAt;
      return revision;
    } catch (error) {
      if (this.#judgment === judgment) this.#judgment = null;
      throw error;
    }
  }

  /** Compares the database with the mark, for reports. Unlike {@link assertCurrent}, says if nothing was compared. */
  async compare(): Promise<MarkComparison> {
    const { marks } = this.#ports;
    if (marks === null) return 'not_applicable';
    const stored = await ifReachable(() => marks.read(), null);
    if (stored === null) return 'unreachable';
    const mark = await this.#believed(stored);
    if (mark === null) return 'no_mark';
    return (await this.#staysBehind(mark)) ? 'behind' : 'current';
  }

  async #judge(stored: StoredMarks): Promise<number> {
    const { database } = this.#ports;
    const mark = await this.#believed(stored);
    if (mark !== null && (await this.#staysBehind(mark))) throw behind();
    let { revision } = await database.heads();
    if (revision < hintedRevision(stored) && this.#mayRedial()) {
      database.redial();
      ({ revision } = await database.heads());
    }
    return revision;
  }

  /** Returns null if there is no mark that this keyring can verify. */
  async #believed({ mark }: StoredMarks): Promise<HighWaterMark | null> {
    const { prefix, macKeys } = this.#ports;
    if (mark === null || (await macKeys.current()) === null) return null;
    const { text, isAuthentic } = await readAuthenticated(mark, { prefix, kind: 'mark' }, (id) =>
      macKeys.find(id),
    );
    return isAuthentic ? parseMark(text) : null;
  }

  /** Checks again over new connections, which lead to the new primary after a switchover. */
  async #staysBehind(mark: HighWaterMark): Promise<boolean> {
    const { database, clock } = this.#ports;
    if (!(await isBehind(database, mark))) return false;
    database.redial();
    for (let waitedMs = 0; await isBehind(database, mark); waitedMs += LOOK_EVERY_MS) {
      if (waitedMs >= PATIENCE_MS) return true;
      await clock.pause(LOOK_EVERY_MS);
    }
    return false;
  }

  #mayRedial(): boolean {
    const now = this.#ports.clock.now();
    const since = now - this.#redialedAt;
    if (since >= 0 && since < REDIAL_SECONDS) return false;
    this.#redialedAt = now;
    return true;
  }
}

/** Any client may have written the hint, so it only triggers another look. */
function hintedRevision({ hint }: StoredMarks): number {
  return (hint === null ? null : parseMark(textOf(hint)))?.revision ?? 0;
}

function isSame(one: StoredMarks, other: StoredMarks): boolean {
  return one.mark === other.mark && one.hint === other.hint;
}

/** The check `now < at` keeps a clock that was set back from extending a judgment. */
function isOver({ at }: Judgment, now: number): boolean {
  return at !== null && (now < at || now >= at + JUDGED_FOR_SECONDS);
}

function behind(): JwtctlError {
  return new JwtctlError(
    'ERR_DATABASE_BEHIND',
    'The database lacks earlier changes: it was restored from a backup, or it is an old primary.',
  );
}
