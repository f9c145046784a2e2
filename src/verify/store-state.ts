import { JwtctlError } from '../domain/errors.js';
import type { Clock } from '../domain/ports.js';
import type { StoreHealth } from './health.js';

/** Remembers how a store answered when it was last asked. */
export class StoreState {
  readonly #clock: Clock;
  #since: number;
  #code: string | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  get isUp(): boolean {
    return this.#code === null;
  }

  answered(): void {
    if (this.#code === null) return;
    this.#code = null;
    this.#since = this.#clock.now();
  }

  /** What is thrown for other reasons than that the store is away says nothing of it. */
  failed(error: unknown): void {
    if (!(error instanceof JwtctlError) || error.kind !== 'unavailable') return;
    if (this.#code === null) this.#since = this.#clock.now();
    this.#code = error.code;
  }

  /** @param servesOn whether what is known of the store serves on without it */
  health(servesOn: boolean): StoreHealth {
    const state = this.#code === null ? 'up' : servesOn ? 'degraded' : 'down';
    return { state, since: this.#since, code: this.#code };
  }
}
