/** The port to the registry of live tokens, on Redis Cluster, Redis and SQLite. Times are NumericDate seconds. */

import type { EntryFilter, EntryName, RegistryEntry } from '../model/registry-entry.js';
import type { JwtctlError } from '../shared/errors.js';
import type { MarkStore } from './mark-store.js';
import type { KnownUserStatus, MasterWarning, StatusReader, StatusReaderOptions } from './token-status.js';

export interface RegistrationOptions {
  now: number;
  /** Cached with the entries, unless a higher version is cached. */
  user?: KnownUserStatus | undefined;
  label?: string;
  /**
   * How many live entries the subject may have with this one. The oldest others beyond it are removed: by `iat`, then by the
   * bytes of the `jti`, then by key id. The entry itself stays, even if it is the oldest.
   */
  maxPerSubject?: number;
}

export interface Registration extends RegistrationOptions {
  sub: string;
  entry: RegistryEntry;
}

/**
 * The tokens that are live. A token without its entry is refused.
 *
 * Everything expires by itself: an entry at its `exp` plus the clock tolerance, and what else is kept of a subject with
 * the last of its entries.
 */
export interface TokenRegistry {
  readonly backend: 'redis-cluster' | 'redis' | 'sqlite';
  /** What all names of this registry begin with; empty for SQLite. */
  readonly prefix: string;
  /** Null for SQLite: a backup of the file includes the registry, so nothing outside the file is newer. */
  readonly marks: MarkStore | null;

  /**
   * Adds an entry. Registering the same entry again changes nothing.
   *
   * @returns the entries that made room
   */
  register(sub: string, entry: RegistryEntry, options: RegistrationOptions): Promise<RegistryEntry[]>;

  /**
   * Registers many entries, as {@link register} does. Entries of one subject keep their order.
   *
   * @returns for each entry null, or the error. After an error of kind `unavailable`, the entry may still have been registered
   * @throws if the registry fails as a whole; some entries may have been registered
   */
  registerMany(registrations: readonly Registration[]): Promise<Array<JwtctlError | null>>;

  /**
   * One read, one command on Redis.
   *
   * @returns `exp` of the entry, null where it is not registered; `user` null where the status is not known (any more)
   */
  tokenStatus(
    sub: string,
    entry: { jti: string; keyId: number; iat: number },
    now: number,
  ): Promise<{ exp: number | null; user: KnownUserStatus | null }>;

  /** For a process that asks for standings all the while. Whoever opens it closes it. */
  openStatusReader(options: StatusReaderOptions): StatusReader;

  /**
   * The live entries of a subject, oldest first (`iat`, then `jti`).
   *
   * @throws JwtctlError `ERR_REDIS_WRONG_TYPE` (state) where the subject's key holds something else
   */
  list(sub: string, now: number): Promise<Array<RegistryEntry & { label: string | null }>>;

  /**
   * Caches a user's status with their entries, if there are any. A higher cached version stays, because an older read must not
   * overwrite a newer state, unless `replaces` is that version. Does not wait for replicas, because the security log has every
   * change that ends tokens.
   *
   * @returns the higher version that is still cached; null if there is none
   */
  setUserStatus(
    sub: string,
    user: KnownUserStatus,
    now: number,
    replaces?: number | null,
  ): Promise<number | null>;

  /** Removes the matching entries of one subject. Without entries nothing of the subject is left. */
  remove(sub: string, filter: EntryFilter, now: number): Promise<Removal>;

  /** Removes the matching entries of every subject. */
  removeEverywhere(filter: EntryFilter, options: WalkOptions): Promise<GlobalRemoval>;

  /**
   * Removes exactly these entries, and what has expired beside them, and has what is kept of these subjects expire with
   * the last entry that stays. An entry that is not there (any more) is not counted.
   *
   * @throws JwtctlError where nothing is known to have been done; else the outcome says what failed
   */
  removeEntries(
    subjects: ReadonlyArray<{ sub: string; entries: readonly EntryName[] }>,
    now: number,
  ): Promise<RemovalOutcome>;

  /**
   * Hands over every subject that has live entries or foreign members, in no order and some at a time. Each comes once; one
   * with very many entries comes in several parts, one after the other: see `scanSubjects`. The scan waits for `onSubjects`,
   * so that memory stays bounded, and rejects where that does.
   *
   * @throws JwtctlError; with `sub` also `ERR_REDIS_WRONG_TYPE` (state) where the subject's key holds something else
   */
  scan(onSubjects: OnSubjects, options: ScanOptions): Promise<ScanOutcome>;

  /** The servers behind the registry, masters before their replicas. */
  nodes(): Promise<RegistryNode[]>;

  /**
   * Tells of a verifier that runs, in place of what it told before. Nothing that is about tokens sees it: no walk, no
   * count, no flush.
   */
  report(heartbeat: Heartbeat): Promise<void>;

  /** For how long a verifier counts after its last word, in seconds: then nobody waits for it any more. */
  readonly heartbeatLifetimeSeconds: number;

  /** Takes back what the verifier with this id told. */
  deregister(id: string): Promise<void>;

  /**
   * What the verifiers that run have told. A heartbeat counts for as long as it
   * said, and the clock tolerance. A server goes by its own clock, from when it took it in: a verifier that runs must not be
   * taken for gone because its clock and that of whoever asks differ. `now` is for a store without a clock, whose users share
   * one host.
   */
  fleet(now: number): Promise<FleetLook>;
}

/** What verifiers have told, as a store has it now. */
export interface FleetLook {
  /** Oldest first (`startedAt`, then `id`). */
  verifiers: Heartbeat[];
  /**
   * For so many seconds the store has been told, and has kept, all that verifiers tell. One that runs and has not told again
   * since then may be missing: Redis copies to its replicas late, so a failover loses what was told last, and a restart all.
   * Infinity for a store that loses nothing; 0 where that cannot be said.
   */
  keptSeconds: number;
  /** How many heartbeats were ignored because no verifier can have written them. Default: 0. */
  untrusted?: number | undefined;
}

/** What a verifier that runs for long tells of itself. */
export interface Heartbeat {
  /** Random, made anew by each verifier. */
  id: string;
  host: string;
  pid: number;
  startedAt: number;
  /** Of the keys that it accepts tokens under, as it last read them. */
  kids: string[];
  log: LogProgress;
  /** When its last whole read of the security log began; null before the first has ended. */
  readAt: number | null;
  /** When it told this. */
  at: number;
  /** Until then it counts, unless it tells anew. */
  until: number;
}

/** What has been read of the security log, exactly: all ids up to `position`, but those in `missing`. */
export interface LogProgress {
  position: number;
  /** Ranges, both ends inclusive, in ascending order. */
  missing: Array<[from: number, to: number]>;
}

/** For what goes through the whole registry. */
export interface WalkOptions {
  now: number;
  /** Once it is aborted nothing more is begun; what was not seen is told in the outcome. */
  signal?: AbortSignal;
  /** Told now and then how far the walk has come. */
  onProgress?: (progress: WalkProgress) => void;
}

/** Takes subjects in, some at a time. */
export type OnSubjects = (subjects: readonly ScannedSubject[]) => void | Promise<void>;

export interface ScanOptions extends WalkOptions {
  /** Also what else is kept of a subject, and subjects of which nothing else is left. Default: false. */
  withDetails?: boolean;
  /** Reads this subject alone, from its own key. Default: all subjects. */
  sub?: string;
}

/** In hash slots, of 16,384, in a cluster; elsewhere in subjects, of which nobody knows how many there are. */
export interface WalkProgress {
  unit: 'slots' | 'subjects';
  done: number;
  total: number | null;
}

export interface Removal {
  removed: number;
  /** How many replicas of the subject's master confirmed it; null where nothing was written. */
  replicasConfirmed: number | null;
}

export interface GlobalRemoval {
  /** Entries that match the filter. */
  matched: number;
  removed: number;
  subjects: number;
  /** The largest `iat` among the matching entries; null where there are none. */
  largestIat: number | null;
  byNode: Array<{ node: string; matched: number; removed: number }>;
  byKeyId: Array<{ keyId: number; matched: number }>;
  /** The least over the masters that were written to; null where nothing was written. */
  replicasConfirmed: number | null;
  /** False where a part of the registry could not be seen; `missed` says which. */
  complete: boolean;
  missed: string[];
}

/** For a report: why a part was not seen or not done. */
export const INTERRUPTED = 'the run was interrupted';
/** The part, where nothing more can be said of it. */
export const LEFT_BY_INTERRUPTION = `what was left (${INTERRUPTED})`;

/** For a report, where {@link RemovalOutcome.isCounted} is false. */
export const UNCOUNTED = 'the count of what was removed while a connection was lost';
/** For a report, of entries whose removal failed. */
export const MAYBE_REMOVED = 'more may have been removed than was counted';

export interface RemovalOutcome {
  removed: number;
  byNode: Array<{ node: string; removed: number }>;
  /** False where a connection was lost before it told: all of it is gone, and more than was counted. */
  isCounted: boolean;
  /** Why some of it could not be done; how much of that is gone all the same nobody knows. Null where all of it was done. */
  failure: JwtctlError | null;
}

/** A subject, or a part of it. */
export interface ScannedSubject {
  sub: string;
  /** The master that holds it: `host:port`, or the file's name for SQLite. */
  node: string;
  /** Whether no more parts of the subject follow. */
  isLast: boolean;
  /** Live ones. */
  entries: ScannedEntry[];
  /** Members of this part that are no entries of ours. */
  malformed: number;
  /** Memory of all that is kept of the subject, in bytes; null where it was not sampled, and after the first part. */
  bytes: number | null;
  /** Null without `withDetails`, and after the first part. */
  details: SubjectDetails | null;
}

export interface ScannedEntry extends RegistryEntry {
  /** Null where there is none, and without `withDetails`. */
  label: string | null;
}

export interface SubjectDetails {
  /** When what is kept of the subject expires; null where it never does. */
  expiresAt: number | null;
  /** Entries that have expired and are still there. */
  expired: number;
  /** The status that is noted beside the entries, whether its time is over or not. */
  user: KnownUserStatus | null;
}

export interface ScanOutcome {
  complete: boolean;
  /** What could not be seen, for a person: `slots 0-5460 (127.0.0.1:7001: connection refused)`. */
  missed: string[];
  nodes: Array<{
    node: string;
    role: 'master' | 'embedded';
    slots: number | null;
    usedMemoryBytes: number | null;
  }>;
}

export interface RegistryNode {
  /** `host:port`, or the file's name for SQLite. */
  node: string;
  role: 'master' | 'replica' | 'embedded';
  /** The `host:port` of a replica's master; null for others. */
  master: string | null;
  /** How many of the 16,384 hash slots a master serves; null outside a cluster. */
  slots: number | null;
  /** All keys that the server holds, ours or not; null where it could not be asked. */
  keys: number | null;
  usedMemoryBytes: number | null;
  /** The most that it may use; null where there is no limit, or it is not known. */
  maxmemoryBytes: number | null;
  maxmemoryPolicy: string | null;
  /** Problems of a server that answers: it refuses new tokens, or its table of tracked keys is full. */
  warnings: MasterWarning[];
  /** How far a replica's offset is behind its master's, in bytes; null for others. */
  lagBytes: number | null;
  reachable: boolean;
}
