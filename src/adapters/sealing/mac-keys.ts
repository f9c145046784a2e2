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
  #current: MacKey | null = null;
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
    try {
      // Asked each time, because a running process must not go on with a master key that was removed.
      const keyring = await this.#masterKeys.existing();
      if (keyring === null) return null;
      if (this.#current?.id !== keyring[0].id) this.#current = this.#derived(keyring[0]);
      return this.#current;
    } catch (error) {
      if (!(error instanceof JwtctlError)) throw error;
      this.#failedAt = this.#options.clock.now();
      this.#options.onFailure(error);
      return null;
    }
  }

  /** Returns null if the keyring lacks the master key, or there is none. @throws JwtctlError if it cannot be fetched */
  async find(masterKeyId: string): Promise<MacKey | null> {
    if ((await this.#masterKeys.existing()) === null) return null;
    const masterKey = await this.#masterKeys.find(masterKeyId);
    return masterKey === undefined ? null : this.#derived(masterKey);
  }

  #derived(masterKey: MasterKey): MacKey {
    return { id: masterKey.id, secret: deriveKey(masterKey, this.#options.purpose) };
  }
}
