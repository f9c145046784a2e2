import type { Clock, KnownUserStatus } from '../domain/ports/index.js';
import {
  isAnswerValid,
  isOutdated,
  provenStatus,
  type StatusPolicy,
  statusMeanwhile,
} from '../domain/security-log/cached-user-status.js';
import type { UserChange } from '../domain/security-log/revocation-index.js';
import { JwtctlError } from '../domain/shared/errors.js';
import type { TokenStatus } from '../domain/tokens/verify.js';
import type { DatabaseWatch } from './database-watch.js';
import type { SecurityLogTail } from './security-log-tail.js';
import type { StoreState } from './store-state.js';
import type { UserStates } from './user-states.js';

export interface UserJudgePorts {
  states: UserStates;
  tail: SecurityLogTail;
  watch: DatabaseWatch;
  clock: Clock;
  databaseState: StoreState;
}

/** Tells whether a token's user is enabled: by the security log, the registry, the directory, and what that told before. */
export class UserJudge {
  readonly #ports: UserJudgePorts;
  readonly #policy: StatusPolicy & { graceSeconds: number };

  constructor(ports: UserJudgePorts, policy: StatusPolicy & { graceSeconds: number }) {
    this.#ports = ports;
    this.#policy = policy;
  }

  /** Returns a user's status without asking the directory: from the registry's cache, or from the directory's last answer. */
  known(sub: string, cached: KnownUserStatus | null, now: number): KnownUserStatus | null {
    const change = this.#ports.tail.events.changeOf(sub);
    const told = this.#ports.states.told(sub);
    const proven = provenStatus(cached, change, now, this.#policy);
    // If the last answer was "disabled", the log may not have that change yet.
    if (proven !== null && (change !== null || told?.status !== 'disabled')) return proven;
    return told !== null && isAnswerValid(told, { cached, change }, now, this.#policy) ? told : null;
  }

  /**
   * What the directory says, or what may be said of the user while it does not answer.
   *
   * @throws JwtctlError kind `unavailable` where nothing may be said
   */
  async ask(sub: string, cached: KnownUserStatus | null): Promise<TokenStatus['user']> {
    const { tail, states, clock, databaseState } = this.#ports;
    const meanwhile = () =>
      statusMeanwhile(
        { cached, answer: states.told(sub), change: tail.events.changeOf(sub) },
        clock.now(),
        this.#policy,
      );
    // Nobody waits again and again for a database that is known to be away.
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
   * What was asked for before a change may be answered after the log told of it. What is asked for after that is as late as
   * the log.
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
