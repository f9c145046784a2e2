import { publicJwk } from '../domain/jwk-set.js';
import type { Clock, KeyStore } from '../domain/ports.js';
import type { VerificationKey } from '../domain/verification.js';

/** How old the keys may be before they are read again, in seconds. */
const MAX_AGE_SECONDS = 30;
const NEVER = -MAX_AGE_SECONDS;

/** The shortest time between two reads that an unknown `kid` causes, in seconds: invented kids cost no more than that. */
const COOL_DOWN_SECONDS = 1;

type KnownKey = VerificationKey & { id: number };

/**
 * The keys of the key store as a verifier holds them. They are read once, again when they have grown old, and again for a
 * `kid` that is not among them: a key that was made since is found without a restart.
 */
export class KeySet {
  readonly #store: Pick<KeyStore, 'snapshot'>;
  readonly #clock: Clock;
  #keys = new Map<string, KnownKey>();
  #readAt = NEVER;
  #reading: Promise<void> | undefined;

  constructor(store: Pick<KeyStore, 'snapshot'>, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async find(kid: string): Promise<KnownKey | null> {
    const now = this.#clock.now();
    // A clock that was set back would have the keys stay young for as long.
    if (now < this.#readAt) this.#readAt = NEVER;
    if (now - this.#readAt >= MAX_AGE_SECONDS) {
      await this.#read();
      return this.#keys.get(kid) ?? null;
    }
    const known = this.#keys.get(kid);
    if (known !== undefined) return known;
    await this.#read();
    return this.#keys.get(kid) ?? null;
  }

  /**
   * One read at a time, and not before the cool-down is over: whoever comes meanwhile waits for that one. Waiting, where
   * one might refuse, because a token under a key that was made a moment ago is valid.
   */
  #read(): Promise<void> {
    this.#reading ??= this.#clock
      .until(this.#readAt + COOL_DOWN_SECONDS)
      .then(() => this.#load())
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }

  async #load(): Promise<void> {
    const at = this.#clock.now();
    const { keys } = await this.#store.snapshot();
    const loaded = new Map<string, KnownKey>();
    for (const key of keys) {
      const held = this.#keys.get(key.kid);
      // The same object while nothing changed: what was derived from it (the parsed public key) stays with it.
      const isSame = held?.id === key.id && held.state === key.state && held.alg === key.alg;
      loaded.set(
        key.kid,
        isSame
          ? held
          : { id: key.id, kid: key.kid, alg: key.alg, state: key.state, jwk: { ...publicJwk(key) } },
      );
    }
    this.#keys = loaded;
    this.#readAt = at;
  }
}
