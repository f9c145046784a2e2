import type { EntryName } from '../model/registry-entry.js';
import type { UserStatus } from '../model/user.js';
import type { ErrorCode } from '../shared/errors.js';

/** A user's status as the user directory gave it at some moment. */
export interface KnownUserStatus {
  status: UserStatus;
  version: number;
  /** Until then the status may be used without asking the directory again. */
  until: number;
}

/** Reads whether tokens are registered, and the cached status of their users. */
export interface TokenStatusReader {
  /**
   * Reads the status of one token: one command on Redis.
   *
   * @returns the entry's `exp`, null if it is not registered; the cached `user`, null if none is cached or it has expired
   */
  tokenStatus(
    sub: string,
    entry: EntryName,
    now: number,
  ): Promise<{ exp: number | null; user: KnownUserStatus | null }>;

  /** Opens a reader for a process that asks all the time. The caller closes it. */
  openStatusReader(options: StatusReaderOptions): StatusReader;
}

export interface StatusReaderOptions {
  /** Whether what is read may come with a {@link Lease}. */
  nearCache: boolean;
  /** The time that {@link Lease.isValid} will be asked with, in seconds. */
  now(): number;
  /** Called if nothing can be cached although {@link nearCache} is on. */
  warn?(text: string): void;
}

/**
 * A problem with a server that answers:
 *
 * - `memory_full`: it has reached its maxmemory
 * - `tracking_table_full`: it has reached its tracking-table-max-keys, so near caches lose verdicts that are still valid
 * - `not_tracking`: it refused CLIENT TRACKING, so a near cache asks it each time
 */
export type MasterWarning = 'memory_full' | 'tracking_table_full' | 'not_tracking';

/** The last known state of one registry server. */
export interface MasterStatus {
  /** `host:port`, or the file name for SQLite. The configured nodes if none has been reached. */
  node: string;
  /** The code of its last error; null while it answers. */
  code: ErrorCode | null;
  /** When this state began, in NumericDate seconds. */
  since: number;
  warnings: MasterWarning[];
}

export interface StatusReader {
  /**
   * Connects to every master and reads from it, so that the first request need not wait.
   *
   * @returns the epoch of what is read from now on: see {@link StoredStatus.epoch}
   * @throws JwtctlError kind `unavailable`
   */
  open(): Promise<number>;
  /** What is asked for one token; worth keeping where the same token comes again. */
  of(sub: string, entry: EntryName): StatusQuery;
  /** In the background, reads from each server that has not answered for a second. */
  probe(): void;
  /** Returns the last known state of each server that holds entries, without asking it. */
  masters(): MasterStatus[];
  close(): void;
}

export interface StatusQuery {
  /**
   * One read, one command on Redis; those of one turn of the event loop go out together, to each master its own.
   *
   * @throws JwtctlError kind `unavailable`; at once where the registry has not been answering
   */
  read(): Promise<StoredStatus>;
}

/** What the registry has noted, live or not. */
export interface StoredStatus {
  /** Null where there is no such entry. */
  exp: number | null;
  user: KnownUserStatus | null;
  /** Null where it has to be asked for again each time. */
  lease: Lease | null;
  /**
   * A greater number once whoever answered may have forgotten what was written before: a master was replaced, or its
   * connection was lost. What the security log says has to be read after that.
   */
  epoch: number;
}

/** A promise of the registry's to tell of changes. */
export interface Lease {
  /**
   * Whether what was read is still what one would read, by what has been heard until now. It is not where nothing was heard
   * lately, by whichever clock more time has passed: one of them stands still while a machine is suspended, the other one
   * can be set back.
   */
  isValid(now: number): boolean;
}
