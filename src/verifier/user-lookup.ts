import type { Clock, KnownUserStatus } from '../domain/ports/index.js';
import {
  changeToInclude,
  isOutdated,
  type StatusPolicy,
  statusMeanwhile,
} from '../domain/security-log/cached-user-status.js';
import type { UserChange } from '../domain/security-log/revocation-index.js';
import { JwtctlError } from '../domain/shared/errors.js';
import type { TokenStatus } from '../domain/verification/check-status.js';
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

export class UserLookup {
  readonly #ports: UserLookupPorts;
  readonly #policy: StatusPolicy & { graceSeconds: number };

  constructor(ports: UserLookupPorts, policy: StatusPolicy & { graceSeconds: number }) {
    this.#ports = ports;
    this.#policy = policy;
  }

  /** @throws JwtctlError kind `unavailable` if neither the directory nor the cache has a usable status */
  async find(sub: string, cached: KnownUserStatus | null): Promise<TokenStatus['user']> {
    const { tail, states, clock, databaseState } = this.#ports;
    const meanwhile = () =>
      statusMeanwhile(
        { cached, answer: states.lastAnswer(sub), change: changeToInclude(tail.events, sub, this.#policy) },
        clock.now(),
        this.#policy,
      );
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

  /** Asks again if the log has a newer change, because the directory may have been read before it. */
  async #askDirectory(sub: string, cached: KnownUserStatus | null): Promise<TokenStatus['user']> {
    const { states, tail, clock, watch } = this.#ports;
    for (let seen: number | null = null; ; ) {
      const user = await states.find(sub, cached, clock.now(), tail.events.refreshOf(sub));
      const change = changeToInclude(tail.events, sub, this.#policy);
      if (change === null || !isOutdated(user, change)) {
        if (user === null) watch.assertComplete();
        return user?.status ?? 'unknown';
      }
      // The second answer lacks the change too, so the directory was restored from a backup.
      if (change.version === seen) return statusAfter(change) ?? user?.status ?? 'unknown';
      seen = change.version;
    }
  }
}

/** Returns null if the change grants access, because only the directory can grant it. */
function statusAfter({ type }: UserChange): TokenStatus['user'] | null {
  if (type === 'user_enabled' || type === 'user_refreshed') return null;
  return type === 'user_disabled' ? 'disabled' : 'unknown';
}
