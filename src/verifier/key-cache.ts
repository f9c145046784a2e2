import { type PublicJwk, publicJwk } from '../domain/jose/jwk-set.js';
import type { VerificationKey } from '../domain/jose/verification-key.js';
import { isKid } from '../domain/model/kid.js';
import { isTrusted, isVerifyOnly, KEY_STATES, type SigningKey } from '../domain/model/signing-key.js';
import type { Clock, KeySnapshot, KeyStore } from '../domain/ports/index.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { SingleFlight } from './single-flight.js';

const MAX_AGE_SECONDS = 30;
const NEVER = -MAX_AGE_SECONDS;

/** Shortest time between two reads for unknown kids, which may be made up. */
const COOL_DOWN_SECONDS = 1;

/** Limits waiting tokens, so that made-up kids or a hung key store cannot use up connections and memory. */
const MAX_WAITING_FOR_UNKNOWN = 16;

const MAX_WAITING = 10_000;

export type KnownKey = VerificationKey & {
  id: number;
  publicKey: string;
  isVerifyOnly: boolean;
  jwk: PublicJwk & { [member: string]: unknown };
};

export interface KeyCacheOptions {
  /** How old the keys may be before {@link KeyCache.find} reads them again, in seconds. Default: 30. */
  maxAgeSeconds?: number;
  /** Called once per broken row of the key store. Its key is not trusted. Default: such a row is an error. */
  warn?: ((text: string) => void) | undefined;
}

/** A verifier's copy of the keys. Reads them on first use, when they are outdated, and for an unknown kid. */
export class KeyCache {
  readonly #store: Pick<KeyStore, 'snapshot'>;
  readonly #clock: Clock;
  readonly #maxAgeSeconds: number;
  readonly #onInvalid: ((error: JwtctlError) => void) | undefined;
  #keys = new Map<string, KnownKey>();
  #rows: readonly SigningKey[] = [];
  #heads: { revision: number; recoveredAt: number } | null = null;
  #isBehind = false;
  #readAt = NEVER;
  #triedAt = NEVER;
  #failure: unknown = null;
  readonly #reads = new SingleFlight();
  #nextCooled: Promise<void> | null = null;
  #waiting = 0;

  constructor(
    store: Pick<KeyStore, 'snapshot'>,
    clock: Clock,
    { maxAgeSeconds = MAX_AGE_SECONDS, warn }: KeyCacheOptions = {},
  ) {
    this.#onInvalid = warn && warnOnce(warn);
    this.#store = store;
    this.#clock = clock;
    this.#maxAgeSeconds = maxAgeSeconds;
  }

  get revision(): number {
    return this.#heads?.revision ?? 0;
  }

  get recoveredAt(): number {
    return this.#heads?.recoveredAt ?? 0;
  }

  /**
   * Whether the store lacks changes that were read earlier (a restored backup or a lagging replica). Until it
   * catches up or `db recover` runs, each key has the later of its two states, and no key is dropped.
   */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  get trusted(): KnownKey[] {
    return [...this.#keys.values()].filter(({ state }) => isTrusted(state));
  }

  get active(): { kid: string; activatedAt: number } | null {
    const key = this.trusted.find(({ state }) => state === 'active');
    if (key === undefined) return null;
    const activatedAt = this.#rows.find(({ state }) => state === 'active')?.activatedAt ?? 0;
    return { kid: key.kid, activatedAt };
  }

  /** Every key that the last read found, whatever its state, oldest first. */
  get rows(): readonly SigningKey[] {
    return this.#rows;
  }

  /** Returns the key from the last read. Returns the same object until the key changes. */
  peek(kid: string): KnownKey | undefined {
    return this.#keys.get(kid);
  }

  /** @throws JwtctlError kind `unavailable` if a read is needed and fails */
  async find(kid: string): Promise<KnownKey | null> {
    return isKid(kid) ? this.#find(() => this.#keys.get(kid)) : null;
  }

  /** Like {@link find}, by the id that registry entries have. */
  findById(keyId: number): Promise<KnownKey | null> {
    return this.#find(() => [...this.#keys.values()].find(({ id }) => id === keyId));
  }

  async #find(peek: () => KnownKey | undefined): Promise<KnownKey | null> {
    const known = this.#fresh(peek);
    if (known !== undefined) return known;
    // Wait instead of refusing, because the key may be new.
    if (this.#waiting >= (this.#isFresh() ? MAX_WAITING_FOR_UNKNOWN : MAX_WAITING)) throw tooManyWaiting();
    this.#waiting += 1;
    try {
      return await this.#findAfterRead(peek);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #findAfterRead(peek: () => KnownKey | undefined): Promise<KnownKey | null> {
    await this.#reads.current;
    const found = this.#fresh(peek);
    if (found !== undefined) return found;
    this.#nextCooled ??= this.#coolDown()
      .finally(() => {
        this.#nextCooled = null;
      })
      .then(() => this.refresh());
    await this.#nextCooled;
    return peek() ?? null;
  }

  #fresh(peek: () => KnownKey | undefined): KnownKey | undefined {
    return this.#isFresh() ? peek() : undefined;
  }

  #isFresh(): boolean {
    const age = this.#clock.now() - this.#readAt;
    return age >= 0 && age < this.#maxAgeSeconds;
  }

  refresh(): Promise<void> {
    return this.#reads.next(() => this.#load());
  }

  /** Waits, or repeats the error of a failed read, so that an overloaded database gets no more reads. */
  async #coolDown(): Promise<void> {
    const since = this.#clock.now() - this.#triedAt;
    if (since < 0 || since >= COOL_DOWN_SECONDS) return;
    if (this.#failure !== null) throw this.#failure;
    await this.#clock.until(this.#triedAt + COOL_DOWN_SECONDS);
  }

  async #load(): Promise<void> {
    const at = this.#clock.now();
    this.#triedAt = at;
    const snapshot = await this.#store.snapshot(this.#onInvalid).catch((error) => {
      this.#failure = error;
      throw error;
    });
    const { keys } = snapshot;
    this.#failure = null;
    const found = new Map(keys.flatMap((key) => this.#toKnownKey(key)).map((key) => [key.kid, key]));
    this.#isBehind = this.#fellBehind(snapshot, found);
    if (!this.#isBehind) this.#heads = snapshot;
    this.#keys = this.#isBehind ? withLaterStates(this.#keys, found) : found;
    this.#rows = keys;
    this.#readAt = at;
  }

  #fellBehind({ revision, recoveredAt }: KeySnapshot, found: ReadonlyMap<string, KnownKey>): boolean {
    const before = this.#heads;
    if (before === null || recoveredAt > before.recoveredAt) return false;
    if (recoveredAt < before.recoveredAt || revision < before.revision) return true;
    const lacked = [...this.#keys.values()].filter((key) => lacks(found, key));
    // A compromised key stays compromised, so another state proves that the store fell behind.
    return this.#isBehind
      ? lacked.length > 0
      : lacked.some(({ kid, state }) => state === 'compromised' && found.has(kid));
  }

  /** Returns the same object until the key changes, because the parsed public key is cached per object. */
  #toKnownKey(key: SigningKey): KnownKey[] {
    const known = this.#keys.get(key.kid);
    const { id, kid, alg, state, publicKey } = key;
    // Compares the public key too, because another key can have the same id and kid.
    const isSame =
      known?.id === id && known.state === state && known.alg === alg && known.publicKey === publicKey;
    if (isSame) return [known];
    try {
      return [
        { id, kid, alg, state, publicKey, isVerifyOnly: isVerifyOnly(key), jwk: { ...publicJwk(key) } },
      ];
    } catch (error) {
      if (this.#onInvalid === undefined || !(error instanceof JwtctlError)) throw error;
      this.#onInvalid(error);
      return [];
    }
  }
}

function warnOnce(warn: (text: string) => void): (error: JwtctlError) => void {
  const warned = new Set<string>();
  return ({ message }) => {
    if (!warned.has(message)) warn(`${message} Tokens under this key are refused.`);
    warned.add(message);
  };
}

function withLaterStates(
  before: ReadonlyMap<string, KnownKey>,
  found: ReadonlyMap<string, KnownKey>,
): Map<string, KnownKey> {
  const later = new Map(found);
  for (const [kid, key] of before) if (lacks(found, key)) later.set(kid, key);
  return later;
}

function lacks(found: ReadonlyMap<string, KnownKey>, key: KnownKey): boolean {
  const other = found.get(key.kid);
  return other === undefined || rankOf(other) < rankOf(key);
}

/** A verify-only key is `retiring`, and may become pending. */
function rankOf({ state, isVerifyOnly }: KnownKey): number {
  return isVerifyOnly ? -1 : KEY_STATES.indexOf(state);
}

function tooManyWaiting(): JwtctlError {
  const message = 'Too many tokens with an unknown kid are waiting for the keys to be read again.';
  return new JwtctlError('ERR_VERIFIER_OVERLOADED', message);
}
