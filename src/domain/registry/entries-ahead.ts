import type { EntryName } from '../model/registry-entry.js';
import { MOST_NAMED, type NamedToken } from '../security-log/name-tokens.js';

/**
 * Collects entries with an `iat` after `latest`: those of hosts whose clocks are ahead, and forged ones. Keeps the
 * nearest, because a client that can write to Redis can add any number.
 */
export class EntriesAhead {
  readonly #latest: number;
  #nearest: NamedToken[] = [];

  constructor(latest: number) {
    this.#latest = latest;
  }

  add(sub: string, { jti, iat }: EntryName): void {
    if (iat <= this.#latest) return;
    this.#nearest.push({ sub, jti, iat });
    if (this.#nearest.length >= 2 * MOST_NAMED) this.#nearest = this.nearest();
  }

  get isEmpty(): boolean {
    return this.#nearest.length === 0;
  }

  nearest(): NamedToken[] {
    return this.#nearest.sort((a, b) => a.iat - b.iat).slice(0, MOST_NAMED);
  }
}
