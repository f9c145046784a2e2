import type { Clock } from '../../src/domain/ports/index.js';

/** A clock that only the test moves. */
export class ManualClock implements Clock {
  #now: number;
  #waiting: Array<{ time: number; wake: () => void }> = [];
  readonly #watching: Array<() => void> = [];

  constructor(now = 1_700_000_000) {
    this.#now = now;
  }

  readonly now = (): number => this.#now;

  readonly until = (time: number, signal?: AbortSignal): Promise<void> => {
    if (time <= this.#now) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      const wake = () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      this.#waiting.push({ time, wake });
      for (const notify of this.#watching.splice(0)) notify();
    });
  };

  readonly pause = (milliseconds: number, signal?: AbortSignal): Promise<void> =>
    this.until(this.#now + milliseconds / 1000, signal);

  /** Resolves once something waits. Returns the times at which the waits end. */
  async awaited(): Promise<number[]> {
    if (this.#waiting.length === 0) await new Promise<void>((notify) => this.#watching.push(notify));
    return this.#waiting.map(({ time }) => time);
  }

  advance(seconds: number): void {
    this.#now += seconds;
    for (const { time, wake } of this.#waiting) if (time <= this.#now) wake();
    this.#waiting = this.#waiting.filter(({ time }) => time > this.#now);
  }
}
