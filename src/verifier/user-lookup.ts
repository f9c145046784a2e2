import type { Clock, KnownUserStatus } from '../domain/ports/index.js';
import { isOutdated, type StatusPolicy, statusMeanwhile } from '../domain/security-log/cached-user-status.js';
import type { UserChange } from '../domain/security-log/revocation-index.js';
import { JwtctlError } from '../domain/shared/errors.js';
import type { TokenStatus } from '../domain/tokens/verify.js';
import type { DatabaseWatch } from './database-watch.js';
import type { SecurityLogTail } from './security-log-tail.js';
import type { StoreState } from './store-state.js';
import type { UserStates } from './user-states.js';

export interface UserLookupPorts {
  states: UserStates;
  tail: SecurityLogTail;
  watch: DatabaseWatch;
  clock: Clock;
  databaseState: StoreState;
}

/** Asks the user directory about a token's user, and decides what to use while it does not answer. */
export class UserLookup {
  readonly #ports: UserLookupPorts;
  readonly #policy: StatusPolicy & { graceSeconds: number };

  constructor(ports: UserLookupPorts, policy: StatusPolicy & { graceSeconds: number }) {
    this.#ports = ports;
    this.#policy = policy;
  }

  /**
   * Returns the directory's answer, or the status to use while it does not answer.
   *
   * @throws JwtctlError kind `unavailable` if there is no such status
   */
  async ask(sub: string, cached: KnownUserStatus | null): Promise<TokenStatus['user']> {
    const { tail, states, clock, databaseState } = this.#ports;
    const meanwhile = () =>
      statusMeanwhile(
        { cached, answer: states.told(sub), change: tail.events.changeOf(sub) },
        clock.now(),
        this.#policy,
      );
    // Do not wait again for a database that is known to be down.
    const known = databaseState.isUp ? null : meanwhile();
    if (known !== null) return known;
    try {
      return await this.#askDirectory(sub, cached);
    } catch (error) {
      if (!(error instanceof JwtctlError) || error.kind !== 'unavailable') throw error;
      const status = meanwhile();
      if (status === null) throw error;
      return status;
    }
  }

  /**
   * Asks again if the log has a newer change than the answer, because the directory may have been read before the change.
   */
  async #askDirectory(sub: string, cached: KnownUserStatus | null): Promise<TokenStatus['user']> {
    const { states, tail, clock, watch } = this.#ports;
    for (let seen: number | null = null; ; ) {
      const user = await states.find(sub, cached, clock.now());
      const change = tail.events.changeOf(sub);
      if (change === null || !isOutdated(user, change)) {
        if (user === null) watch.assertCertain();
        return user?.status ?? 'unknown';
      }
      // The directory still lacks the change after a second look, so a restored backup has lost it.
      if (change.version === seen) return statusAfter(change) ?? user?.status ?? 'unknown';
      seen = change.version;
    }
  }
}

/** Returns null if the change grants access, because only the directory can grant it. */
function statusAfter({ type }: UserChange): TokenStatus['user'] | null {
  if (type === 'user_enabled') return null;
  return type === 'user_disabled' ? 'disabled' : 'unknown';
}
