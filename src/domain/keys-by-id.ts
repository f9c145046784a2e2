import type { Database } from './ports.js';
import type { KeyState, SigningKey } from './signing-key.js';

/** How many entries name a key. */
export interface KeyCount {
  /** Null where there is no row of the key, and so no state: it was purged, or lost with the database. */
  kid: string | null;
  keyId: number;
  state: KeyState | null;
  entries: number;
}

export function keyCount(key: SigningKey | undefined, keyId: number, entries: number): KeyCount {
  return { kid: key?.kid ?? null, keyId, state: key?.state ?? null, entries };
}

/**
 * The keys behind the ids that registry entries name. Only an id that is not known yet has the key store read: keys are
 * made while a registry is walked, and the rows of retired ones are purged.
 */
export class KeysById {
  readonly #database: Pick<Database, 'keys'>;
  #keys = new Map<number, SigningKey>();

  constructor(database: Pick<Database, 'keys'>) {
    this.#database = database;
  }

  /** An id without a row is not in the map. */
  async ofAll(ids: Iterable<number>): Promise<ReadonlyMap<number, SigningKey>> {
    for (const id of ids) {
      if (this.#keys.has(id)) continue;
      const { keys } = await this.#database.keys.snapshot();
      this.#keys = new Map([...this.#keys, ...keys.map((key) => [key.id, key] as const)]);
      break;
    }
    return this.#keys;
  }

  /** The keys with the most entries first. */
  async countByKid(counts: ReadonlyArray<{ keyId: number; entries: number }>): Promise<KeyCount[]> {
    const keys = await this.ofAll(counts.map(({ keyId }) => keyId));
    return counts
      .map(({ keyId, entries }) => keyCount(keys.get(keyId), keyId, entries))
      .sort((a, b) => b.entries - a.entries);
  }
}
