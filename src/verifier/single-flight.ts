export class SingleFlight {
  #current: Promise<unknown> = Promise.resolve();
  #next: Promise<void> | null = null;

  get current(): Promise<unknown> {
    return this.#current;
  }

  /** Resolves after work that began after this call, because running work may have missed a change. */
  next(work: () => Promise<void>): Promise<void> {
    this.#next ??= this.#current.then(() => {
      this.#next = null;
      const running = work();
      this.#current = running.catch(() => {});
      return running;
    });
    return this.#next;
  }
}
