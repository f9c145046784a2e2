import type { Clock, MasterStatus } from '../domain/ports/index.js';
import { type ErrorCode, JwtctlError } from '../domain/shared/errors.js';
import type { LastHealth, StoreHealth } from './health.js';

export class StoreState {
  readonly #clock: Clock;
  #since: number;
  #answeredAt: number | null = null;
  #code: ErrorCode | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  get isUp(): boolean {
    return this.#code === null;
  }

  get answeredAt(): number | null {
    return this.#answeredAt;
  }

  answered(now: number): void {
    this.#answeredAt = now;
    if (this.#code === null) return;
    this.#code = null;
    this.#since = now;
  }

  failed(error: unknown): void {
    if (this.#code === null) this.#since = this.#clock.now();
    this.#code = error instanceof JwtctlError ? error.code : 'ERR_BUG';
  }

  /** @param isUsable whether the verifier can work without the store for now */
  health(isUsable: boolean): LastHealth {
    const state = this.#code === null ? 'up' : isUsable ? 'degraded' : 'down';
    return { state, since: this.#since, code: this.#code, answeredAt: this.#answeredAt };
  }
}

export function registryHealth(masters: readonly MasterStatus[]): StoreHealth {
  const failing = masters.filter(({ code }) => code !== null).sort((a, b) => a.since - b.since);
  const [first, last] = [failing[0], failing.at(-1)];
  if (first === undefined || last === undefined)
    return { state: 'up', since: Math.max(...masters.map(({ since }) => since)), code: null };
  return failing.length === masters.length
    ? { state: 'down', since: last.since, code: first.code }
    : { state: 'degraded', since: first.since, code: first.code };
}
