import { performance } from 'node:perf_hooks';

/** How long nothing is asked of a server that did not answer, in milliseconds. */
const REST_MS = 1000;

/**
 * Keeps requests from piling up at a server that does not answer: after a failure they are refused at once for a while, then
 * one is let through to try, and with its answer the rest.
 */
export class Circuit {
  #failure: Error | null = null;
  #restUntil = 0;
  #isTrying = false;

  /** What to refuse a request with; null where it may be made. Whoever gets null reports back. */
  refusal(): Error | null {
    if (this.#failure === null) return null;
    if (this.#isTrying || performance.now() < this.#restUntil) return this.#failure;
    this.#isTrying = true;
    return null;
  }

  succeeded(): void {
    this.#failure = null;
    this.#isTrying = false;
  }

  failed(error: Error): void {
    this.#failure = error;
    this.#isTrying = false;
    this.#restUntil = performance.now() + REST_MS;
  }
}
