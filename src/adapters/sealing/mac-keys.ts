import type { Clock, MacKey } from '../../domain/ports/index.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { deriveKey } from './derived-key.js';
import type { MasterKey } from './keyring.js';
import type { MasterKeys } from './master-keys.js';

const COOL_DOWN_SECONDS = 60;

export interface MacKeysOptions {
  purpose: string;
  clock: Pick<Clock, 'now'>;
  onFailure(error: JwtctlError): void;
}

export class MacKeys {
  readonly #masterKeys: MasterKeys;
  readonly #options: MacKeysOptions;
  #current: Promise<MacKey | null> | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(masterKeys: MasterKeys, options: MacKeysOptions) {
    this.#masterKeys = masterKeys;
    this.#options = options;
  }

  /** Returns null if this host has no keyring or cannot fetch it, because revoking must work without one. */
  async current(): Promise<MacKey | null> {
    const now = this.#options.clock.now();
    // The first condition keeps a clock that was set back from extending the wait.
    if (this.#failedAt <= now && now < this.#failedAt + COOL_DOWN_SECONDS) return null;
    this.#current ??= this.#fetch();
    return this.#current;
  }

  /** Returns null if the keyring lacks the master key. @throws JwtctlError if it cannot be fetched */
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
