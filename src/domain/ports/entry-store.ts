import type { EntryFilter, EntryName, RegistryEntry } from '../model/registry-entry.js';
import type { JwtctlError } from '../shared/errors.js';
import type { WalkOptions } from './registry-scanner.js';
import type { KnownUserStatus } from './token-status.js';

/**
 * Writes and lists the entries of live tokens. A token without its entry is refused.
 *
 * Everything expires by itself: an entry at its `exp` plus the clock tolerance, and what else is kept of a subject with
 * the last of its entries.
 */
export interface EntryStore extends UserStatusCache {
  /**
   * Adds an entry. Registering the same entry again changes nothing.
   *
   * @returns the entries that were removed for {@link RegistrationOptions.maxPerSubject}
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
   * Returns the live entries of a subject, oldest first (`iat`, then `jti`).
   *
   * @throws JwtctlError `ERR_REDIS_WRONG_TYPE` (state) if the subject's key holds something else
   */
  list(sub: string, now: number): Promise<Array<RegistryEntry & { label: string | null }>>;

  /** Removes the matching entries of one subject. With the last entry, everything kept of the subject goes. */
  remove(sub: string, filter: EntryFilter, now: number): Promise<Removal>;

  /** Removes the matching entries of every subject. */
  removeEverywhere(filter: EntryFilter, options: WalkOptions): Promise<GlobalRemoval>;

  /**
   * Removes exactly these entries and the expired ones of their subjects, and sets the expiry of what stays. An entry that
   * does not exist is not counted.
   *
   * @throws JwtctlError if nothing is known to have been done; otherwise the outcome says what failed
   */
  removeEntries(
    subjects: ReadonlyArray<{ sub: string; entries: readonly EntryName[] }>,
    now: number,
  ): Promise<RemovalOutcome>;
}

/** Keeps the status of users beside their entries, so that a verification needs no other store. */
export interface UserStatusCache {
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
}

export interface RegistrationOptions {
  now: number;
  /** Cached with the entries, unless a higher version is cached. */
  user?: KnownUserStatus | undefined;
  label?: string | undefined;
  /**
   * How many live entries the subject may have with this one. The oldest others beyond it are removed: by `iat`, then by the
   * bytes of the `jti`, then by key id. The entry itself stays, even if it is the oldest.
   */
  maxPerSubject?: number | undefined;
}

export interface Registration extends RegistrationOptions {
  sub: string;
  entry: RegistryEntry;
}

export interface Removal {
  removed: number;
  /** How many replicas of the subject's master confirmed it; null if nothing was written. */
  replicasConfirmed: number | null;
}

export interface GlobalRemoval {
  /** Entries that match the filter. */
  matched: number;
  removed: number;
  subjects: number;
  /** The largest `iat` among the matching entries; null if there are none. */
  largestIat: number | null;
  byNode: Array<{ node: string; matched: number; removed: number }>;
  byKeyId: Array<{ keyId: number; matched: number }>;
  /** The least over the masters that were written to; null if nothing was written. */
  replicasConfirmed: number | null;
  /** False if a part of the registry could not be read; `missed` says which. */
  complete: boolean;
  missed: string[];
}

export interface RemovalOutcome {
  removed: number;
  byNode: Array<{ node: string; removed: number }>;
  /** False if a connection was lost before the answer: all is removed, and more than was counted. */
  isCounted: boolean;
  /** Why some entries could not be removed, though they may be; null if all were. */
  failure: JwtctlError | null;
}

/** For a report, if {@link RemovalOutcome.isCounted} is false. */
export const UNCOUNTED = 'the count of what was removed while a connection was lost';
/** For a report, of entries whose removal failed. */
export const MAYBE_REMOVED = 'more may have been removed than was counted';
