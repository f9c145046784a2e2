import { JwtctlError } from './errors.js';
import {
  type HighWaterMark,
  isBehind,
  type MarkStore,
  parseMark,
  readAuthenticated,
  type StoredMarks,
  textOf,
} from './high-water-marks.js';
import type { MacKeySource } from './mark-recording.js';
import type { Clock, Database } from './ports.js';

/** How long a server may take to show what another one has committed, in milliseconds, and how often it is asked. */
const PATIENCE_MS = 2_000;
const LOOK_EVERY_MS = 250;
/** For how long what was found of a database holds, in seconds: a backup that comes back leaves the marks as they are. */
const JUDGED_FOR_SECONDS = 1;
/** How often what nobody vouches for has the database dialed anew, in seconds. */
const REDIAL_SECONDS = 10;

export interface DatabaseGuardPorts {
  database: Pick<Database, 'heads' | 'auditLog' | 'redial'>;
  /** Null where the registry is in the database's own file, and comes back with it. */
  marks: MarkStore | null;
  prefix: string;
  macKeys: MacKeySource;
  clock: Pick<Clock, 'now' | 'pause'>;
}

/** What a database was found to be under these marks. Those who ask meanwhile wait for the same. */
interface Judgment {
  stored: StoredMarks;
  /** When it was begun; null while it is under way. */
  at: number | null;
  revision: Promise<number>;
}

/**
 * Keeps what gives access from being done on a database that lacks what has been taken away since: one that came back from a
 * backup, or an old primary after a switchover.
 */
export class DatabaseGuard {
  readonly #ports: DatabaseGuardPorts;
  #judgment: Judgment | null = null;
  #redialedAt = Number.NEGATIVE_INFINITY;

  constructor(ports: DatabaseGuardPorts) {
    this.#ports = ports;
  }

  /**
   * One command to Redis; the database is asked where the marks are others than before, and once a second.
   *
   * @returns the revision of the key store that it has come to at least
   * @throws JwtctlError `ERR_DATABASE_BEHIND` (state); what the stores throw
   */
  async assertCurrent(): Promise<number> {
    const { marks, clock } = this.#ports;
    if (marks === null) return 0;
    const stored = await marks.read();
    const last = this.#judgment;
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

  async #judge(stored: StoredMarks): Promise<number> {
    const { database } = this.#ports;
    const mark = await this.#believed(stored);
    if (mark !== null && (await isBehind(database, mark)) && !(await this.#catchesUp(mark))) throw behind();
    let { revision } = await database.heads();
    if (revision < hintedRevision(stored) && this.#mayRedial()) {
      database.redial();
      ({ revision } = await database.heads());
    }
    return revision;
  }

  /** Null where nothing stands there that this keyring vouches for. */
  async #believed({ mark }: StoredMarks): Promise<HighWaterMark | null> {
    const { prefix, macKeys } = this.#ports;
    if (mark === null || (await macKeys.current()) === null) return null;
    const { text, isAuthentic } = await readAuthenticated(mark, { prefix, kind: 'mark' }, (id) =>
      macKeys.find(id),
    );
    return isAuthentic ? parseMark(text) : null;
  }

  /** Over new connections, which after a switchover lead to the new primary. */
  async #catchesUp(mark: HighWaterMark): Promise<boolean> {
    const { database, clock } = this.#ports;
    database.redial();
    for (let waitedMs = 0; ; waitedMs += LOOK_EVERY_MS) {
      if (!(await isBehind(database, mark))) return true;
      if (waitedMs >= PATIENCE_MS) return false;
      await clock.pause(LOOK_EVERY_MS);
    }
  }

  #mayRedial(): boolean {
    const now = this.#ports.clock.now();
    const since = now - this.#redialedAt;
    if (since >= 0 && since < REDIAL_SECONDS) return false;
    this.#redialedAt = now;
    return true;
  }
}

/** As somebody says, perhaps nobody of ours: at most a reason to look again. */
function hintedRevision({ hint }: StoredMarks): number {
  return (hint === null ? null : parseMark(textOf(hint)))?.revision ?? 0;
}

function isSame(one: StoredMarks, other: StoredMarks): boolean {
  return one.mark === other.mark && one.hint === other.hint;
}

/** A clock that was set back would otherwise have it hold for as long. */
function isOver({ at }: Judgment, now: number): boolean {
  return at !== null && (now < at || now >= at + JUDGED_FOR_SECONDS);
}

function behind(): JwtctlError {
  return new JwtctlError(
    'state',
    'ERR_DATABASE_BEHIND',
    'The database lacks earlier changes: it was restored from a backup, or it is an old primary.',
    {
      hint: 'Run `jwtctl db recover` to list the missing changes, then run it again with --reapply or --accept.',
    },
  );
}
