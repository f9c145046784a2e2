import { JwtctlError } from '../../domain/errors.js';
import type { Clock, MacKey } from '../../domain/ports.js';
import { deriveKey } from './derived-key.js';
import type { MasterKey } from './keyring.js';
import type { MasterKeys } from './master-keys.js';

/** How long a keyring that could not be fetched is not asked for again, in seconds. */
const COOL_DOWN_SECONDS = 60;

export interface MacKeysOptions {
  /** What is authenticated, as in {@link deriveKey}. */
  purpose: string;
  clock: Pick<Clock, 'now'>;
  /** Told when the keyring cannot be fetched. */
  onFailure(error: JwtctlError): void;
}

/** The MAC keys of one purpose, each derived from a master key and named by its id. */
export class MacKeys {
  readonly #masterKeys: MasterKeys;
  readonly #options: MacKeysOptions;
  #current: Promise<MacKey | null> | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(masterKeys: MasterKeys, options: MacKeysOptions) {
    this.#masterKeys = masterKeys;
    this.#options = options;
  }

  /**
   * The key to make a MAC with, from the first master key; null where there is no keyring on this host or it cannot be
   * fetched. What ends tokens must not depend on it.
   */
  async current(): Promise<MacKey | null> {
    const now = this.#options.clock.now();
    // A clock that was set back would otherwise have it cool down for as long.
    if (this.#failedAt <= now && now < this.#failedAt + COOL_DOWN_SECONDS) return null;
    this.#current ??= this.#fetch();
    return this.#current;
  }

  /** The key to check a MAC with; null where the keyring lacks the master key. @throws JwtctlError as fetching the keyring does */
  async find(masterKeyId: string): Promise<MacKey | null> {
    const masterKey = await this.#masterKeys.find(masterKeyId);
    return masterKey === undefined ? null : this.#derived(masterKey);
  }

  async #fetch(): Promise<MacKey | null> {
    try {
      const keyring = await this.#masterKeys.existing();
      if (keyring !== null) return this.#derived(keyring[0]);
    } catch (error) {
      if (!(error instanceof JwtctlError)) throw error;
      this.#failedAt = this.#options.clock.now();
      this.#options.onFailure(error);
    }
    this.#current = undefined;
    return null;
  }

  #derived(masterKey: MasterKey): MacKey {
    return { id: masterKey.id, secret: deriveKey(masterKey, this.#options.purpose) };
  }
}
