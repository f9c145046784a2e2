import type { User, UserStatus } from '../model/user.js';
import type { JwtctlError } from '../shared/errors.js';

/** Finds users in the source that `users.source` names. */
export interface UserDirectory {
  find(sub: string): Promise<User | null>;
  /** Finds any number of users with a few queries. The map omits subjects without a user. */
  findMany(subs: readonly string[]): Promise<Map<string, User>>;
  /**
   * @param search text in the subject or the name; the case is ignored. Default: lists all users
   * @param from skips the subjects before it, in the order of the source
   */
  list(search?: string, from?: string): AsyncIterable<User>;
  /** Returns the error about a subject without a user, if it has to name another table. */
  missing?(sub: string): JwtctlError;
  /** Throws if the table of another program does not fit the settings. */
  check?(): Promise<void>;
}

export interface UserStore extends UserDirectory {
  /** Lists the users in the order of their subjects' bytes. */
  list(search?: string, from?: string): AsyncIterable<User>;
  /** Adds an enabled user with version 1; returns null if the subject exists. */
  add(user: { sub: string; name: string | null; at: number }): Promise<User | null>;
  /** Adds all of these users as {@link add} does. Adds none and returns false if one of them exists. */
  addMany(users: ReadonlyArray<{ sub: string; name: string | null }>, at: number): Promise<boolean>;
  setVersion(subs: readonly string[], version: number): Promise<void>;
  /**
   * Sets the status, and raises the version if something changes. Returns null if the user does not exist. A user who is
   * disabled for longer stays so: an incident must not shorten a ban.
   *
   * @param disabledUntil when a disabled user becomes enabled again automatically; null for never
   */
  setStatus(
    sub: string,
    status: UserStatus,
    at: number,
    disabledUntil?: number | null,
  ): Promise<{ user: User; changed: boolean } | null>;
  /** Sets exactly this, even if it shortens a ban: see `db recover`. */
  restoreStatus(
    sub: string,
    state: { status: UserStatus; disabledUntil?: number | undefined; version: number },
    at: number,
  ): Promise<void>;
  /** Returns null if the user does not exist. */
  setName(sub: string, name: string | null, at: number): Promise<{ user: User; changed: boolean } | null>;
  remove(sub: string): Promise<User | null>;
}
