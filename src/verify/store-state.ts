import { JwtctlError } from '../domain/errors.js';
import type { Clock } from '../domain/ports.js';
import type { LastHealth, StoreHealth } from './health.js';

/** How long an answer says anything of what the next one will be, in seconds. */
const NEWS_SECONDS = 10;

/** Remembers how a store answered when it was last asked. */
export class StoreState {
  readonly #clock: Clock;
  #since: number;
  #answeredAt: number | null = null;
  #failedAt = 0;
  #code: string | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  get isUp(): boolean {
    return this.#code === null;
  }

  get since(): number {
    return this.#since;
  }

  /** When it last answered; null before it first did. */
  get answeredAt(): number | null {
    return this.#answeredAt;
  }

  /** Whether the last answer, or failure, is so old that it says nothing any more. */
  isOld(now: number): boolean {
    return now - (this.isUp ? (this.#answeredAt ?? this.#since) : this.#failedAt) > NEWS_SECONDS;
  }

  answered(now: number): void {
    this.#answeredAt = now;
    if (this.#code === null) return;
    this.#code = null;
    this.#since = now;
  }

  /** Also where it is a defect that keeps the store from being used: it must not look well meanwhile. */
  failed(error: unknown): void {
    this.#failedAt = this.#clock.now();
    if (this.#code === null) this.#since = this.#failedAt;
    this.#code = error instanceof JwtctlError ? error.code : 'ERR_BUG';
  }

  /** @param servesOn whether what is known of the store serves on without it */
  health(servesOn: boolean): LastHealth {
    const state = this.#code === null ? 'up' : servesOn ? 'degraded' : 'down';
    return { state, since: this.#since, code: this.#code, answeredAt: this.#answeredAt };
  }
}

/**
 * A registry that is asked in two ways: by verifications, where there are any, and every two seconds by the verifier's
 * announcement, which reaches one master of several. It is down where neither gets an answer.
 */
export function registryHealth(asked: StoreState, announced: StoreState, now: number): StoreHealth {
  const failing = [asked, announced].filter((state) => !state.isUp && !state.isOld(now));
  const answering = [asked, announced].filter(
    (state) => state.isUp && state.answeredAt !== null && !state.isOld(now),
  );
  const [first] = failing;
  if (first === undefined) return { state: 'up', since: Math.max(asked.since, announced.since), code: null };
  return first.health(answering.length > 0);
}
