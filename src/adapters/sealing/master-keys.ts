import type { Clock } from '../../domain/ports/index.js';
import type { Keyring, MasterKey } from './keyring.js';
import { isConfigured, type KeyringSource, loadKeyring } from './keyring-source.js';

const COOL_DOWN_SECONDS = 1;

/** Fetches the keyring again for an unknown master key, so that a long-running issuer finds added lines. */
export class MasterKeys {
  readonly #source: KeyringSource;
  readonly #clock: Pick<Clock, 'now'>;
  #keyring: Promise<Keyring> | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;

  constructor(source: KeyringSource, clock: Pick<Clock, 'now'>) {
    this.#source = source;
    this.#clock = clock;
  }

  /** Creates a keyring if none is configured and the source allows it. */
  keyring(): Promise<Keyring> {
    if (this.#keyring === undefined) {
      this.#fetchedAt = this.#clock.now();
      this.#keyring = loadKeyring(this.#source);
      // A failure is not cached, because a vault may answer the next time.
      this.#keyring.catch(() => {
        this.#keyring = undefined;
      });
    }
    return this.#keyring;
  }

  async existing(): Promise<Keyring | null> {
    const isThere = this.#keyring !== undefined || (await isConfigured(this.#source));
    return isThere ? this.keyring() : null;
  }

  async find(id: string): Promise<MasterKey | undefined> {
    const isWanted = (candidate: MasterKey) => candidate.id === id;
    const keyring = await this.keyring();
    return keyring.find(isWanted) ?? (await this.#fetchAgain(keyring)).find(isWanted);
  }

  /** Keeps the known keyring if fetching fails. */
  async #fetchAgain(known: Keyring): Promise<Keyring> {
    const now = this.#clock.now();
    // The first condition keeps a clock that was set back from extending the wait.
    if (this.#fetchedAt <= now && now < this.#fetchedAt + COOL_DOWN_SECONDS) return known;
    this.#fetchedAt = now;
    const keyring = await loadKeyring(this.#source);
    this.#keyring = Promise.resolve(keyring);
    return keyring;
  }
}
