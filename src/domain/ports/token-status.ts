import type { EntryName } from '../model/registry-entry.js';
import type { UserStatus } from '../model/user.js';
import type { ErrorCode } from '../shared/errors.js';

/** A user's status as the user directory returned it earlier. */
export interface KnownUserStatus {
  status: UserStatus;
  version: number;
  /** When the status must be read from the directory again. */
  until: number;
}

/** Reads whether tokens are registered, and the cached status of their users. */
export interface TokenStatusReader {
  /** Reads the entry's `exp` (null if not registered) and the cached `user` (null if expired). */
  tokenStatus(sub: string, entry: EntryName, now: number): Promise<TokenRecord>;

  /**
   * Returns what the entry of a legacy token stores beside its `exp`: see {@link isLegacyId}. Null if there is
   * no such entry; an expired one may be returned.
   */
  findLegacyEntry(sub: string, id: string): Promise<LegacyEntry | null>;

  /** Opens a reader for a long-running process. The caller closes it. */
  openStatusReader(options: StatusReaderOptions): StatusReader;
}

/** What the registry stores about a token and its user. */
export interface TokenRecord extends StoredUse {
  exp: number | null;
  user: KnownUserStatus | null;
}

export interface StoredUse {
  /** When the token was last issued or verified, in NumericDate seconds. Undefined if that is not stored. */
  lastSeen?: number | undefined;
  /** When the server that holds the entry started. Uses before that may be lost. Null if it is not known. */
  serverStartedAt?: number | null | undefined;
}

export interface LegacyEntry {
  /** The id of the key that signed the token. */
  keyId: number;
  /** The token's `iat`; without one, the time of its registration. */
  iat: number;
}

export interface StatusReaderOptions {
  /** Whether to request a {@link Lease} for each status. */
  nearCache: boolean;
  /** The clock that also gives the argument of {@link Lease.isValid}. */
  now(): number;
  warn?(text: string): void;
}

/** A problem with a server that answers. */
export type MasterWarning =
  /** It has reached its maxmemory. */
  | 'memory_full'
  /** It has reached its tracking-table-max-keys, so near caches lose verdicts that are still valid. */
  | 'tracking_table_full'
  /** It refused CLIENT TRACKING, so a near cache asks it each time. */
  | 'not_tracking';

export interface MasterStatus {
  /** `host:port`, or the file's name for SQLite. The configured nodes if none has been reached. */
  node: string;
  /** The code of its last error; null while it answers. */
  code: ErrorCode | null;
  since: number;
  warnings: MasterWarning[];
}

export interface StatusReader {
  /** Connects to every master and returns the current {@link StoredStatus.epoch}. */
  open(): Promise<number>;
  /** Prepares the query for one token, for repeated use. */
  of(sub: string, entry: EntryName): StatusQuery;
  /**
   * Records that a token was seen at `now`. Waits briefly, to write several uses together. Does nothing if its entry is
   * gone, and never moves the time back, unless the stored time is `replaces`, and is in the future by the registry's
   * clock. Only for a registry that stores these times.
   */
  touch(sub: string, entry: EntryName, now: number, replaces?: number): Promise<void>;
  /** Checks, in the background, each server that has not answered for a second. */
  probe(): void;
  /** Returns the last known state of each server that holds entries, without a request. */
  masters(): MasterStatus[];
  close(): void;
}

export interface StatusQuery {
  /**
   * Reads with one command on Redis. Commands of one turn of the event loop are sent together.
   * @param withLastSeen whether to read `lastSeen`, if it is stored. Default: true
   * @throws JwtctlError kind `unavailable`, without a request if the registry has not been answering
   */
  read(withLastSeen?: boolean): Promise<StoredStatus>;
}

/** A token's status as stored, expired or not. */
export interface StoredStatus extends TokenRecord {
  /** Null if the status must not be cached. */
  lease: Lease | null;
  /**
   * Grows when the registry may have lost data: a master was replaced, or its connection was lost. Then the
   * security log must be read again before the status is trusted.
   */
  epoch: number;
}

/** Tells whether a cached status is still current. */
export interface Lease {
  /**
   * False after a change, and if the server was silent too long by either of two clocks: one stops while a
   * machine is suspended, the other can be set back.
   */
  isValid(now: number): boolean;
}
