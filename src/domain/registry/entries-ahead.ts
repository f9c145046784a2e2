import type { EntryName } from '../model/registry-entry.js';
import { MOST_NAMED, type NamedToken } from '../security-log/name-tokens.js';
import type { NamedEntry } from './group-entries.js';

/** Keeps the memory small. Entries beyond it are forged, and no token is accepted because of them alone. */
const MOST_KEPT = 100_000;

/**
 * Collects entries with an `iat` after `latest`: those of hosts whose clocks are ahead, and forged ones. Keeps the
 * nearest, because a client that can write to Redis can add any number.
 */
export class EntriesAhead {
  readonly #latest: number;
  #nearest: NamedEntry[] = [];

  constructor(latest: number) {
    this.#latest = latest;
  }

  add(sub: string, { jti, keyId, iat }: EntryName): void {
    if (iat <= this.#latest) return;
    this.#nearest.push({ sub, entry: { jti, keyId, iat } });
    if (this.#nearest.length >= 2 * MOST_KEPT) this.#nearest = this.entries();
  }

  /** The nearest first. */
  entries(): NamedEntry[] {
    return this.#nearest.sort((a, b) => a.entry.iat - b.entry.iat).slice(0, MOST_KEPT);
  }

  nearest(): NamedToken[] {
    return nearestOf(this.entries());
  }
}

/** Returns those to record by name. */
export function nearestOf(entries: readonly NamedEntry[]): NamedToken[] {
  return entries.slice(0, MOST_NAMED).map(({ sub, entry: { jti, iat } }) => ({ sub, jti, iat }));
}
