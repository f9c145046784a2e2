import { JwtctlError } from '../domain/errors.js';
import type { KnownUserStatus, TokenRegistry, User, UserDirectory } from '../domain/ports.js';
import { statusToNote } from '../domain/standing.js';

/** More than these do not wait for the directory: one that hangs must not fill the memory. */
const MOST_WAITING = 10_000;

export interface UserStatesPorts {
  users: Pick<UserDirectory, 'findMany'>;
  registry: Pick<TokenRegistry, 'setUserStatus'>;
  /** How long a status may be used before the directory is asked again, in seconds. */
  statusTtlSeconds: number;
}

/**
 * Asks the user directory. Those who are asked for in one turn of the event loop are one query, and nobody is asked for
 * twice at a time. What it says is noted in the registry, for whoever asks next.
 */
export class UserStates {
  readonly #ports: UserStatesPorts;
  readonly #asked = new Map<string, Promise<User | null>>();
  #next: { subs: string[]; found: Promise<Map<string, User>> } | null = null;
  #waiting = 0;

  constructor(ports: UserStatesPorts) {
    this.#ports = ports;
  }

  /**
   * What the directory says. Where somebody was asking already it may have been read before this was called.
   *
   * @param noted what the registry says
   * @returns null where there is no such user
   * @throws JwtctlError kind `unavailable`; `ERR_USERS_BUSY` where too many wait
   */
  async find(sub: string, noted: KnownUserStatus | null, now: number): Promise<User | null> {
    if (this.#waiting >= MOST_WAITING) throw tooManyWaiting();
    this.#waiting += 1;
    try {
      return await (this.#asked.get(sub) ?? this.#ask(sub, noted, now));
    } finally {
      this.#waiting -= 1;
    }
  }

  #ask(sub: string, noted: KnownUserStatus | null, now: number): Promise<User | null> {
    const asked = this.#together(sub)
      // Before anybody goes on with the answer: whoever asks from then on is told something younger.
      .finally(() => this.#asked.delete(sub))
      .then((found) => found.get(sub) ?? null);
    this.#asked.set(sub, asked);
    asked.then(
      (user) => (user === null ? undefined : this.#note(sub, user, noted, now)),
      () => {},
    );
    return asked;
  }

  /**
   * Nobody waits for it: a master that hangs would hold up an answer that grows older meanwhile. One that fails is made up
   * for by the next.
   */
  async #note(sub: string, user: User, noted: KnownUserStatus | null, now: number): Promise<void> {
    const { registry, statusTtlSeconds } = this.#ports;
    const status = statusToNote(user, noted, now, statusTtlSeconds);
    if (status === null) return;
    try {
      await registry.setUserStatus(sub, status, now);
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
    'unavailable',
    'ERR_USERS_BUSY',
    `${MOST_WAITING} verifications wait for the user directory.`,
    { hint: 'It answers slowly, or not at all. Try again in a moment.' },
  );
}
