import { isVerifyOnly, type KeyState, type SigningKey } from '../model/signing-key.js';
import type { Database } from '../ports/index.js';

export interface KeyCount {
  /** Null if the key has no row: it was purged, or lost with the database. */
  kid: string | null;
  keyId: number;
  state: KeyState | null;
  verifyOnly?: true | undefined;
  entries: number;
}

export function keyCount(key: SigningKey | undefined, keyId: number, entries: number): KeyCount {
  const verifyOnly = key !== undefined && isVerifyOnly(key) ? true : undefined;
  return { kid: key?.kid ?? null, keyId, state: key?.state ?? null, verifyOnly, entries };
}

/** Finds keys by the ids in registry entries. Reads the key store again for an unknown id. */
export class KeysById {
  readonly #database: Pick<Database, 'keys'>;
  #keys = new Map<number, SigningKey>();

  constructor(database: Pick<Database, 'keys'>) {
    this.#database = database;
  }

  async ofAll(ids: Iterable<number>): Promise<ReadonlyMap<number, SigningKey>> {
    for (const id of ids) {
      if (this.#keys.has(id)) continue;
      const { keys } = await this.#database.keys.snapshot();
      this.#keys = new Map([...this.#keys, ...keys.map((key) => [key.id, key] as const)]);
      break;
    }
    return this.#keys;
  }

  async countByKid(counts: ReadonlyArray<{ keyId: number; entries: number }>): Promise<KeyCount[]> {
    const keys = await this.ofAll(counts.map(({ keyId }) => keyId));
    return counts
      .map(({ keyId, entries }) => keyCount(keys.get(keyId), keyId, entries))
      .sort((a, b) => b.entries - a.entries);
  }
}
