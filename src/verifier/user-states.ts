import type { KnownUserStatus, User, UserDirectory, UserStatusCache } from '../domain/ports/index.js';
import {
  cacheStatus,
  isCached,
  type StatusPolicy,
  usableUntil,
} from '../domain/security-log/cached-user-status.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { RecentMap } from './recent-map.js';

/** How many lookups may wait, so that a hung directory cannot fill the memory. */
const MAX_WAITING = 10_000;

export interface UserStatesPorts {
  users: Pick<UserDirectory, 'findMany'>;
  registry: UserStatusCache;
  policy: StatusPolicy;
  rememberedUsers: number;
}

/** Asks the user directory. Lookups in one turn of the event loop share a query. */
export class UserStates {
  readonly #ports: UserStatesPorts;
  readonly #answers: RecentMap<KnownUserStatus>;
  readonly #lookups = new Map<string, { refresh: number; found: Promise<User | null> }>();
  #nextBatch: { subs: string[]; found: Promise<Map<string, User>> } | null = null;
  #waiting = 0;

  constructor(ports: UserStatesPorts) {
    this.#ports = ports;
    this.#answers = new RecentMap(ports.rememberedUsers);
  }

  /** Returns the last answer in memory, however old. */
  lastAnswer(sub: string): KnownUserStatus | null {
    return this.#answers.get(sub) ?? null;
  }

  /**
   * Joins a running lookup, so the answer may be older than this call.
   *
   * @param refresh the last request to read the user again, which the answer must follow. It becomes the version
   * of a user without versions
   */
  async find(sub: string, cached: KnownUserStatus | null, now: number, refresh = 0): Promise<User | null> {
    if (this.#waiting >= MAX_WAITING) throw tooManyWaiting();
    this.#waiting += 1;
    try {
      const running = this.#lookups.get(sub);
      if (running !== undefined && running.refresh >= refresh) return await running.found;
      return await this.#lookUp(sub, cached, now, refresh);
    } finally {
      this.#waiting -= 1;
    }
  }

  #lookUp(sub: string, cached: KnownUserStatus | null, now: number, refresh: number): Promise<User | null> {
    const lookup = this.#findInBatch(sub)
      // Deleted before any caller continues, so that later calls start a new lookup.
      .finally(() => {
        if (this.#lookups.get(sub)?.found === lookup) this.#lookups.delete(sub);
      })
      .then((found) => {
        const user = found.get(sub);
        if (user === undefined) {
          this.#answers.delete(sub);
          return null;
        }
        const { status } = user;
        const version = user.version === 0 ? refresh : user.version;
        const until = usableUntil(user, now, this.#ports.policy.statusTtlSeconds);
        this.#answers.set(sub, { status, version, until });
        return { ...user, version };
      });
    this.#lookups.set(sub, { refresh, found: lookup });
    // Not awaited, because a hung master must not delay the answer.
    lookup.then(
      (user) =>
        user === null || !this.#ports.policy.logsUserChanges ? undefined : this.#cache(user, cached, now),
      () => {},
    );
    return lookup;
  }

  async #cache(user: User, cached: KnownUserStatus | null, now: number): Promise<void> {
    const { registry, policy } = this.#ports;
    if (isCached(user, cached, now, policy)) return;
    const find = async (sub: string) => (await this.#findInBatch(sub)).get(sub) ?? null;
    await cacheStatus({ registry, find }, user, now, policy.statusTtlSeconds).catch(() => {});
  }

  #findInBatch(sub: string): Promise<Map<string, User>> {
    if (this.#nextBatch === null) {
      const subs: string[] = [];
      const found = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
        this.#nextBatch = null;
        return this.#ports.users.findMany(subs);
      });
      this.#nextBatch = { subs, found };
    }
    this.#nextBatch.subs.push(sub);
    return this.#nextBatch.found;
  }
}

function tooManyWaiting(): JwtctlError {
  return new JwtctlError(
    'ERR_VERIFIER_OVERLOADED',
    `${MAX_WAITING} verifications are waiting for the user directory, which is slow or does not respond.`,
  );
}
