import type { KnownUserStatus, User, UserDirectory, UserStatusCache } from '../domain/ports/index.js';
import { cacheStatus, isCached, type StatusPolicy } from '../domain/security-log/cached-user-status.js';
import { JwtctlError } from '../domain/shared/errors.js';

/** More than these do not wait for the directory: one that hangs must not fill the memory. */
const MOST_WAITING = 10_000;

export interface UserStatesPorts {
  users: Pick<UserDirectory, 'findMany'>;
  registry: UserStatusCache;
  policy: StatusPolicy;
  /** For how many users to remember the directory's answer. */
  rememberedUsers: number;
}

/**
 * Asks the user directory. Users who are looked up in one turn of the event loop share one query, and a user is never looked up
 * twice at a time. Answers are remembered here, and cached in the registry for other processes.
 */
export class UserStates {
  readonly #ports: UserStatesPorts;
  /** Two generations: entries that are not used while the younger one fills are dropped with the older one. */
  #young = new Map<string, KnownUserStatus>();
  #old = new Map<string, KnownUserStatus>();
  readonly #asked = new Map<string, Promise<User | null>>();
  #next: { subs: string[]; found: Promise<Map<string, User>> } | null = null;
  #waiting = 0;

  constructor(ports: UserStatesPorts) {
    this.#ports = ports;
  }

  /** Returns the directory's last answer, however old; null if it is not remembered. */
  told(sub: string): KnownUserStatus | null {
    const told = this.#young.get(sub) ?? this.#old.get(sub) ?? null;
    if (told !== null && !this.#young.has(sub)) this.#remember(sub, told);
    return told;
  }

  /**
   * Asks the directory. If a lookup of the user is already running, its result may have been read before this call.
   *
   * @param cached the status in the registry
   * @returns null if there is no such user
   * @throws JwtctlError kind `unavailable`; `ERR_VERIFIER_OVERLOADED` if too many lookups wait
   */
  async find(sub: string, cached: KnownUserStatus | null, now: number): Promise<User | null> {
    if (this.#waiting >= MOST_WAITING) throw tooManyWaiting();
    this.#waiting += 1;
    try {
      return await (this.#asked.get(sub) ?? this.#ask(sub, cached, now));
    } finally {
      this.#waiting -= 1;
    }
  }

  #ask(sub: string, cached: KnownUserStatus | null, now: number): Promise<User | null> {
    const asked = this.#together(sub)
      // Before anybody goes on with the answer: whoever asks from then on is told something younger.
      .finally(() => this.#asked.delete(sub))
      .then((found) => {
        const user = found.get(sub) ?? null;
        if (user === null) this.#forget(sub);
        else this.#remember(sub, this.#toldOf(user, now));
        return user;
      });
    this.#asked.set(sub, asked);
    asked.then(
      (user) => (user === null ? undefined : this.#cache(user, cached, now)),
      () => {},
    );
    return asked;
  }

  #toldOf({ status, version }: User, now: number): KnownUserStatus {
    return { status, version, until: now + this.#ports.policy.statusTtlSeconds };
  }

  #remember(sub: string, told: KnownUserStatus): void {
    if (this.#young.size >= this.#ports.rememberedUsers / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(sub, told);
  }

  #forget(sub: string): void {
    this.#young.delete(sub);
    this.#old.delete(sub);
  }

  /**
   * Nobody waits for it: a master that hangs would hold up an answer that grows older meanwhile. One that fails is made up
   * for by the next.
   */
  async #cache(user: User, cached: KnownUserStatus | null, now: number): Promise<void> {
    const { registry, policy } = this.#ports;
    if (isCached(user, cached, now, policy)) return;
    const find = async (sub: string) => (await this.#together(sub)).get(sub) ?? null;
    try {
      await cacheStatus({ registry, find }, user, now, policy.statusTtlSeconds);
    } catch {
      // Said above.
    }
  }

  #together(sub: string): Promise<Map<string, User>> {
    if (this.#next === null) {
      const subs: string[] = [];
      const found = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
        this.#next = null;
        return this.#ports.users.findMany(subs);
      });
      this.#next = { subs, found };
    }
    this.#next.subs.push(sub);
    return this.#next.found;
  }
}

function tooManyWaiting(): JwtctlError {
  return new JwtctlError(
    'ERR_VERIFIER_OVERLOADED',
    `${MOST_WAITING} verifications wait for the user directory.`,
    {
      hint: 'It answers slowly, or not at all. Try again in a moment.',
    },
  );
}
