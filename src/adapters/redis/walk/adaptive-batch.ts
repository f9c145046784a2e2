/**
 * How many subjects are asked for at once, so that what comes back stays about as large however many entries they have:
 * a server answers all of it before anybody else gets a turn.
 */
export class AdaptiveBatch {
  readonly #target: number;
  readonly #most: number;
  #size: number;

  /** @param target how much may come back at once */
  constructor({ target, most, first }: { target: number; most: number; first: number }) {
    this.#target = target;
    this.#most = most;
    this.#size = first;
  }

  get size(): number {
    return this.#size;
  }

  /** @param weight of what `count` have brought */
  learn(count: number, weight: number): void {
    const fitting = Math.floor((count * this.#target) / Math.max(1, weight));
    this.#size = Math.max(1, Math.min(fitting, 2 * this.#size, this.#most));
  }
}
