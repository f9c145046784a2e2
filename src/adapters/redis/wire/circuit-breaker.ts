import { performance } from 'node:perf_hooks';

const REST_MS = 1000;

/** Refuses requests, waiting ones too, while a server does not answer; tries it again in the background. */
export class Breaker {
  #failure: Error | null = null;
  #restUntil = 0;
  #isTrying = false;
  readonly #waiting = new Set<(error: Error) => void>();

  get failure(): Error | null {
    return this.#failure;
  }

  refusal(tryAgain: () => Promise<unknown>): Error | null {
    if (this.#failure !== null && !this.#isTrying && performance.now() >= this.#restUntil)
      void this.#try(tryAgain);
    return this.#failure;
  }

  /** Settles as `work` does, or rejects as soon as the breaker opens. */
  guard<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      work.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  succeeded(): void {
    this.#failure = null;
  }

  failed(error: Error): void {
    this.#failure = error;
    this.#restUntil = performance.now() + REST_MS;
    for (const refuse of this.#waiting) refuse(error);
    this.#waiting.clear();
  }

  async #try(tryAgain: () => Promise<unknown>): Promise<void> {
    this.#isTrying = true;
    try {
      await tryAgain();
      this.succeeded();
    } catch (error) {
      this.failed(error as Error);
    }
    this.#isTrying = false;
  }
}
