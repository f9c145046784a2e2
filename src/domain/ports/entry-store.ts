import type { EntryFilter, EntryName, RegistryEntry } from '../model/registry-entry.js';
import type { TokenMeta } from '../model/token-meta.js';
import type { JwtctlError } from '../shared/errors.js';
import type { WalkOptions } from './registry-scanner.js';
import type { KnownUserStatus } from './token-status.js';

/** Entries expire at `exp` plus the clock tolerance, and other data of a subject with its last entry. */
export interface EntryStore extends UserStatusCache {
  /** With it, a registration removes the idle others of the subject before it counts. */
  readonly idleTimeoutSeconds: number | null;

  /**
   * Adds entries, those of one subject in order. Returns the outcome of each, which may be an error; rejects if the
   * registry fails as a whole. An entry may be registered despite an error of kind `unavailable`.
   */
  registerMany(registrations: readonly Registration[]): Promise<RegistrationOutcome[]>;

  /**
   * Returns live entries by `iat`, then `jti`. Reads all, but keeps a limited number in memory.
   * @throws JwtctlError `ERR_SUBJECT_TOO_LARGE` (state) if there are more than {@link MOST_LISTED} and no limit;
   * `ERR_REDIS_WRONG_TYPE` (state)
   */
  list(sub: string, now: number, options?: ListOptions): Promise<ListedEntry[]>;

  /** Removes the matching entries and families of one subject, and with its last entry its cached status. */
  remove(sub: string, filter: EntryFilter, now: number): Promise<Removal>;

  /** Removes the matching entries and families of all subjects. */
  removeEverywhere(filter: EntryFilter, options: WalkOptions): Promise<GlobalRemoval>;

  /**
   * Removes exactly these entries, also the subjects' expired ones, and corrects the expiry of the rest.
   * @throws JwtctlError if nothing is known to have been removed; else the outcome has the failure
   */
  removeEntries(
    subjects: ReadonlyArray<{ sub: string; entries: readonly EntryName[] }>,
    now: number,
  ): Promise<RemovalOutcome>;
}

export interface ListOptions {
  /** Returns at most this many, the first ones. */
  limit?: number | undefined;
  /** Returns only entries with one of these. */
  jtis?: readonly string[] | undefined;
}

/** Write access to Redis can give a subject any number of entries and families. */
export const MOST_LISTED = 100_000;

export interface ListedEntry extends RegistryEntry {
  meta: TokenMeta | null;
  /** When the token was last issued or verified. Undefined if that is not stored. */
  lastSeen?: number | undefined;
}

/** Caches the status of users with their entries, so that a verification needs no other store. */
export interface UserStatusCache {
  /**
   * Caches the status of a user who has entries. A higher cached version stays, unless `replaces` is that
   * version, because an older read must not overwrite a newer state. Does not wait for replicas. Returns the
   * higher version that is still cached; null if there is none.
   */
  setUserStatus(
    sub: string,
    user: KnownUserStatus,
    now: number,
    replaces?: number | null,
  ): Promise<number | null>;
}

export interface Registration {
  sub: string;
  entry: RegistryEntry;
  now: number;
  user?: KnownUserStatus | undefined;
  meta?: TokenMeta | undefined;
  /**
   * The most live entries that the subject may have, with this one. The oldest others are removed: by `iat`,
   * then by the bytes of the `jti`, then by key id.
   */
  maxPerSubject?: number | undefined;
  /**
   * With `refuse`, no entry is removed. A new entry beyond `maxPerSubject` fails with `ERR_TOKEN_LIMIT` instead. The
   * entries of one family count as one. Default: `evict`
   */
  onLimit?: OnLimit | undefined;
}

export type OnLimit = 'evict' | 'refuse';

/** `known` is an entry that was registered before. */
export type RegistrationOutcome = 'added' | 'known' | JwtctlError;

export interface Removal {
  removed: number;
  /** The number of families that were removed. */
  families: number;
  /** How many replicas of the subject's master confirmed the removal; null if nothing was written. */
  replicasConfirmed: number | null;
}

export interface GlobalRemoval {
  matched: number;
  removed: number;
  subjects: number;
  largestIat: number | null;
  byNode: Array<{ node: string; matched: number; removed: number }>;
  byKeyId: Array<{ keyId: number; matched: number }>;
  /** The lowest number of any master that was written to; null if nothing was written. */
  replicasConfirmed: number | null;
  complete: boolean;
  missed: string[];
}

export interface RemovalOutcome {
  removed: number;
  byNode: Array<{ node: string; removed: number }>;
  /** False if a connection was lost before its reply: `removed` is too low. */
  isCounted: boolean;
  /** Why some entries may still exist; null if all were removed. */
  failure: JwtctlError | null;
}

export const UNCOUNTED = 'the number of entries removed when a connection was lost';
