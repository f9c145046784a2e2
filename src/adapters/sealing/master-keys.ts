import type { Clock } from '../../domain/ports.js';
import type { MasterKey } from './keyring.js';
import { isConfigured, type KeyringSource, loadKeyring } from './keyring-source.js';

/** The shortest time between two looks at the keyring that an unknown master key causes, in seconds. */
const COOL_DOWN_SECONDS = 1;

/** The first seals, all open. */
export type Keyring = [MasterKey, ...MasterKey[]];

/**
 * The master keys of one process. The keyring is fetched once, and once more for a master key that is not on it: an
 * issuer that runs for months finds the line that was added since.
 */
export class MasterKeys {
  readonly #source: KeyringSource;
  readonly #clock: Pick<Clock, 'now'>;
  #keyring: Promise<Keyring> | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;

  constructor(source: KeyringSource, clock: Pick<Clock, 'now'>) {
    this.#source = source;
    this.#clock = clock;
  }

  /** Returns the keyring. Makes one where none is configured and the source allows it. */
  keyring(): Promise<Keyring> {
    if (this.#keyring === undefined) {
      this.#fetchedAt = this.#clock.now();
      this.#keyring = loadKeyring(this.#source);
      // A failure is not kept: a vault that was away may answer the next time.
      this.#keyring.catch(() => {
        this.#keyring = undefined;
      });
    }
    return this.#keyring;
  }

  /** Returns the keyring, or null where none is configured and none has been made. */
  async existing(): Promise<Keyring | null> {
    const isThere = this.#keyring !== undefined || (await isConfigured(this.#source));
    return isThere ? this.keyring() : null;
  }

  async find(id: string): Promise<MasterKey | undefined> {
    const isWanted = (candidate: MasterKey) => candidate.id === id;
    const keyring = await this.keyring();
    return keyring.find(isWanted) ?? (await this.#fetchAgain(keyring)).find(isWanted);
  }

  /** Keeps what is known where the keyring cannot be fetched again. */
  async #fetchAgain(known: Keyring): Promise<Keyring> {
    const now = this.#clock.now();
    // A clock that was set back would otherwise have it cool down for as long.
    if (this.#fetchedAt <= now && now < this.#fetchedAt + COOL_DOWN_SECONDS) return known;
    this.#fetchedAt = now;
    const keyring = await loadKeyring(this.#source);
    this.#keyring = Promise.resolve(keyring);
    return keyring;
  }
}
