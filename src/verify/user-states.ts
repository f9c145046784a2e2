import type { KnownUserStatus, TokenRegistry, User, UserDirectory } from '../domain/ports.js';
import { ifReachable } from '../domain/reachability.js';
import { knownStatus } from '../domain/standing.js';

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
  readonly #asked = new Map<string, Promise<KnownUserStatus | null>>();
  #next: { subs: string[]; found: Promise<Map<string, User>> } | null = null;

  constructor(ports: UserStatesPorts) {
    this.#ports = ports;
  }

  /** @returns null where there is no such user @throws JwtctlError kind `unavailable` */
  find(sub: string, now: number): Promise<KnownUserStatus | null> {
    let asked = this.#asked.get(sub);
    if (asked === undefined) {
      asked = this.#ask(sub, now).finally(() => this.#asked.delete(sub));
      this.#asked.set(sub, asked);
    }
    return asked;
  }

  async #ask(sub: string, now: number): Promise<KnownUserStatus | null> {
    const user = (await this.#together(sub)).get(sub);
    if (user === undefined) return null;
    const status = knownStatus(user, now, this.#ports.statusTtlSeconds);
    // A registry that takes no writes now has given its answer all the same.
    await ifReachable(() => this.#ports.registry.setUserStatus(sub, status, now), undefined);
    return status;
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
