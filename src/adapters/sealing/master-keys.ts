import type { Clock } from '../../domain/ports/index.js';
import type { Keyring, MasterKey } from './keyring.js';
import { assertMayCreate, isConfigured, type KeyringSource, loadKeyring } from './keyring-source.js';

const COOL_DOWN_SECONDS = 1;
const MAX_AGE_SECONDS = 60;

/**
 * Fetches the keyring again for an unknown master key and after a minute, so that a long-running issuer finds added
 * lines and stops using removed ones.
 */
export class MasterKeys {
  readonly #source: KeyringSource;
  readonly #clock: Pick<Clock, 'now'>;
  #keyring: Promise<Keyring> | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  /** A fetch that runs now. Who needs an unknown key waits for it. */
  #fetching: Promise<Keyring> | undefined;
  #namedWaitSeconds = COOL_DOWN_SECONDS;
  #lastUnknownAt = Number.NEGATIVE_INFINITY;

  constructor(source: KeyringSource, clock: Pick<Clock, 'now'>) {
    this.#source = source;
    this.#clock = clock;
  }

  /** Creates a keyring if none is configured and the source allows it. */
  async keyring(): Promise<Keyring> {
    if (this.#keyring === undefined) return this.#load();
    const known = await this.#keyring;
    if (Math.abs(this.#clock.now() - this.#fetchedAt) < MAX_AGE_SECONDS) return known;
    // A file that is gone must not be created anew, and a vault that is down must not stop a running issuer.
    return (await isConfigured(this.#source)) ? this.#fetchAgain(known).catch(() => known) : known;
  }

  async existing(): Promise<Keyring | null> {
    const isThere = this.#keyring !== undefined || (await isConfigured(this.#source));
    return isThere ? this.keyring() : null;
  }

  /** Fails as {@link keyring} would, but creates none. */
  async assertUsable(): Promise<void> {
    if ((await this.existing()) === null) await assertMayCreate(this.#source);
  }

  /** @throws JwtctlError if an unknown key makes it fetch the keyring again, and that fails */
  async find(id: string): Promise<MasterKey | undefined> {
    const isWanted = (candidate: MasterKey) => candidate.id === id;
    const keyring = await this.keyring();
    return keyring.find(isWanted) ?? (await this.#fetchAgain(keyring)).find(isWanted);
  }

  /**
   * Finds the key that a text from outside names. Anyone can invent such names, so each one that is not found doubles
   * the wait before the keyring is fetched again, up to a minute. A minute without such names ends the wait.
   */
  async findNamed(id: string): Promise<MasterKey | undefined> {
    const isWanted = (candidate: MasterKey) => candidate.id === id;
    const known = await this.keyring();
    const found = known.find(isWanted);
    if (found !== undefined) return found;
    const now = this.#clock.now();
    if (Math.abs(now - this.#lastUnknownAt) >= MAX_AGE_SECONDS) this.#namedWaitSeconds = COOL_DOWN_SECONDS;
    this.#lastUnknownAt = now;
    if (this.#hasFetchedWithin(this.#namedWaitSeconds)) return (await this.#latest(known)).find(isWanted);
    this.#namedWaitSeconds = Math.min(2 * this.#namedWaitSeconds, MAX_AGE_SECONDS);
    const added = (await this.#fetchAgain(known)).find(isWanted);
    if (added !== undefined) this.#namedWaitSeconds = COOL_DOWN_SECONDS;
    return added;
  }

  #load(): Promise<Keyring> {
    this.#fetchedAt = this.#clock.now();
    const loading = loadKeyring(this.#source);
    this.#keyring = loading;
    // A failure is not cached, because a vault may answer the next time.
    loading.catch(() => {
      this.#keyring = undefined;
    });
    return loading;
  }

  async #fetchAgain(known: Keyring): Promise<Keyring> {
    if (this.#fetching !== undefined || this.#hasFetchedWithin(COOL_DOWN_SECONDS)) return this.#latest(known);
    this.#fetchedAt = this.#clock.now();
    this.#fetching = loadKeyring(this.#source);
    try {
      const keyring = await this.#fetching;
      this.#keyring = Promise.resolve(keyring);
      return keyring;
    } finally {
      this.#fetching = undefined;
    }
  }

  /** Returns what a running fetch finds, or what the last one found. */
  async #latest(known: Keyring): Promise<Keyring> {
    return this.#fetching ?? this.#keyring ?? known;
  }

  /** A clock that was set back does not extend the wait. */
  #hasFetchedWithin(seconds: number): boolean {
    const now = this.#clock.now();
    return this.#fetchedAt <= now && now < this.#fetchedAt + seconds;
  }
}
