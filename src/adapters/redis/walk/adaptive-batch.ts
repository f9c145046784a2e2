/** Adapts the batch to a target reply size, because a server sends all of a reply before it serves others. */
export class AdaptiveBatch {
  readonly #target: number;
  readonly #most: number;
  #size: number;

  constructor({ target, most, first }: { target: number; most: number; first: number }) {
    this.#target = target;
    this.#most = most;
    this.#size = first;
  }

  get size(): number {
    return this.#size;
  }

  learn(count: number, weight: number): void {
    const fitting = Math.floor((count * this.#target) / Math.max(1, weight));
    this.#size = Math.max(1, Math.min(fitting, 2 * this.#size, this.#most));
  }
}
