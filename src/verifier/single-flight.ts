/** Work that is done by one at a time. */
export class SingleFlight {
  /** What is under way, or was last; it does not reject. */
  #current: Promise<unknown> = Promise.resolve();
  #next: Promise<void> | null = null;

  get current(): Promise<unknown> {
    return this.#current;
  }

  /**
   * Resolves once a turn has ended that began from now on: one that is under way may have missed what changed. Those who
   * wait for the same turn share it, and with it the work of the first of them.
   *
   * @throws what the work throws
   */
  next(work: () => Promise<void>): Promise<void> {
    this.#next ??= this.#current.then(() => {
      this.#next = null;
      const turn = work();
      this.#current = turn.catch(() => {});
      return turn;
    });
    return this.#next;
  }
}
