import { type PublicJwk, publicJwk } from '../domain/jose/jwk-set.js';
import type { VerificationKey } from '../domain/jose/verification-key.js';
import { isKid } from '../domain/model/kid.js';
import { isTrusted, KEY_STATES, type SigningKey } from '../domain/model/signing-key.js';
import type { Clock, KeySnapshot, KeyStore } from '../domain/ports/index.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { SingleFlight } from './single-flight.js';

/** How old the keys may be before they are read again, in seconds. */
const MAX_AGE_SECONDS = 30;
const NEVER = -MAX_AGE_SECONDS;

/** The shortest time between two reads that an unknown `kid` causes, in seconds: invented kids cost no more than that. */
const COOL_DOWN_SECONDS = 1;

/** How many tokens may wait for a read because of an unknown `kid`, so that made-up kids cannot tie up requests and connections. */
const MOST_WAITING_FOR_UNKNOWN = 16;

/** How many tokens may wait while the keys are outdated, so that a hung key store cannot fill the memory. */
const MOST_WAITING = 10_000;

export type KnownKey = VerificationKey & {
  id: number;
  /** SPKI PEM. */
  publicKey: string;
  jwk: PublicJwk & { [member: string]: unknown };
};

export interface KeySetOptions {
  /** How old a key may be that somebody else keeps up to date by {@link KeySet.refresh}, in seconds. Default: 30. */
  maxAgeSeconds?: number;
}

/**
 * The keys of the key store as a verifier holds them. They are read once, again when they have grown old, and again for a
 * `kid` that is not among them: a key that was made since is found without a restart.
 */
export class KeySet {
  readonly #store: Pick<KeyStore, 'snapshot'>;
  readonly #clock: Clock;
  readonly #maxAgeSeconds: number;
  #keys = new Map<string, KnownKey>();
  #activatedAt: number | null = null;
  /** The heads from the last read, or from before the store fell behind; null before the first read. */
  #heads: { revision: number; recoveredAt: number } | null = null;
  #isBehind = false;
  #readAt = NEVER;
  /** When the last read began, whatever came of it. */
  #triedAt = NEVER;
  /** What it came to, where it failed. */
  #failure: unknown = null;
  readonly #reads = new SingleFlight();
  /** A read that begins after the cool-down. */
  #nextCooled: Promise<void> | null = null;
  #waiting = 0;

  constructor(
    store: Pick<KeyStore, 'snapshot'>,
    clock: Clock,
    { maxAgeSeconds = MAX_AGE_SECONDS }: KeySetOptions = {},
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#maxAgeSeconds = maxAgeSeconds;
  }

  /** The highest revision that was read. */
  get revision(): number {
    return this.#heads?.revision ?? 0;
  }

  /** See {@link DatabaseHeads.recoveredAt}. */
  get recoveredAt(): number {
    return this.#heads?.recoveredAt ?? 0;
  }

  /**
   * Whether the store lacks changes that were read earlier: it was restored from a backup, or is a lagging replica. Until it has
   * caught up or `db recover` has run, each key has the later of its two states, and no key is dropped.
   */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Those that a token can be valid under. */
  get trusted(): KnownKey[] {
    return [...this.#keys.values()].filter(({ state }) => isTrusted(state));
  }

  get active(): { kid: string; activatedAt: number } | null {
    const key = this.trusted.find(({ state }) => state === 'active');
    return key === undefined ? null : { kid: key.kid, activatedAt: this.#activatedAt ?? 0 };
  }

  /** The key as it was last read; undefined where there was none. As long as nothing of it changes it is the same object. */
  peek(kid: string): KnownKey | undefined {
    return this.#keys.get(kid);
  }

  /** @throws JwtctlError kind `unavailable` where the key store has to be asked and does not answer */
  async find(kid: string): Promise<KnownKey | null> {
    // No key here can have such a kid, so no read is needed.
    if (!isKid(kid)) return null;
    const known = this.#young(kid);
    if (known !== undefined) return known;
    // Wait instead of refusing, because the key may have been created a moment ago.
    if (this.#waiting >= (this.#isYoung() ? MOST_WAITING_FOR_UNKNOWN : MOST_WAITING)) throw tooManyWaiting();
    this.#waiting += 1;
    try {
      return await this.#findAnew(kid);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #findAnew(kid: string): Promise<KnownKey | null> {
    // The current read may find the key. If not, it may have begun before the key was created.
    await this.#reads.current;
    const found = this.#young(kid);
    if (found !== undefined) return found;
    this.#nextCooled ??= this.#coolDown()
      .finally(() => {
        this.#nextCooled = null;
      })
      .then(() => this.refresh());
    await this.#nextCooled;
    return this.#keys.get(kid) ?? null;
  }

  #young(kid: string): KnownKey | undefined {
    return this.#isYoung() ? this.#keys.get(kid) : undefined;
  }

  #isYoung(): boolean {
    return this.#age() < this.#maxAgeSeconds;
  }

  /** A clock that was set back would have the keys stay young for as long. */
  #age(): number {
    const age = this.#clock.now() - this.#readAt;
    return age < 0 ? Number.POSITIVE_INFINITY : age;
  }

  /** Resolves once a read has ended that began from now on: one that is under way may have missed what changed. */
  refresh(): Promise<void> {
    return this.#reads.next(() => this.#load());
  }

  /** A read that failed counts too, and so does its answer: a database that struggles is not asked the more for it. */
  async #coolDown(): Promise<void> {
    const since = this.#clock.now() - this.#triedAt;
    if (since < 0 || since >= COOL_DOWN_SECONDS) return;
    if (this.#failure !== null) throw this.#failure;
    await this.#clock.until(this.#triedAt + COOL_DOWN_SECONDS);
  }

  async #load(): Promise<void> {
    const at = this.#clock.now();
    this.#triedAt = at;
    const snapshot = await this.#store.snapshot().catch((error) => {
      this.#failure = error;
      throw error;
    });
    const { keys } = snapshot;
    this.#failure = null;
    const found = new Map(keys.map((key) => [key.kid, this.#known(key)]));
    this.#isBehind = this.#fellBehind(snapshot, found);
    if (!this.#isBehind) this.#heads = snapshot;
    this.#keys = this.#isBehind ? laterOf(this.#keys, found) : found;
    this.#activatedAt = keys.find(({ state }) => state === 'active')?.activatedAt ?? null;
    this.#readAt = at;
  }

  #fellBehind({ revision, recoveredAt }: KeySnapshot, found: ReadonlyMap<string, KnownKey>): boolean {
    const before = this.#heads;
    if (before === null || recoveredAt > before.recoveredAt) return false;
    if (recoveredAt < before.recoveredAt || revision < before.revision) return true;
    const lacked = [...this.#keys.values()].filter((key) => lacks(found, key));
    // A compromised key stays compromised. A store that fell behind must have every key as before; a lagging replica gets
    // there.
    return this.#isBehind
      ? lacked.length > 0
      : lacked.some(({ kid, state }) => state === 'compromised' && found.has(kid));
  }

  /** The same object while nothing changed: what was derived from it (the parsed public key) stays with it. */
  #known(key: SigningKey): KnownKey {
    const held = this.#keys.get(key.kid);
    const { id, kid, alg, state, publicKey } = key;
    // Compare the material too, because a new key can have the same id and kid.
    const isSame =
      held?.id === id && held.state === state && held.alg === alg && held.publicKey === publicKey;
    return isSame ? held : { id, kid, alg, state, publicKey, jwk: { ...publicJwk(key) } };
  }
}

function laterOf(
  before: ReadonlyMap<string, KnownKey>,
  found: ReadonlyMap<string, KnownKey>,
): Map<string, KnownKey> {
  const later = new Map(found);
  for (const [kid, key] of before) if (lacks(found, key)) later.set(kid, key);
  return later;
}

/** Whether the key is missing or in an earlier state. */
function lacks(found: ReadonlyMap<string, KnownKey>, key: KnownKey): boolean {
  const other = found.get(key.kid);
  return other === undefined || rankOf(other) < rankOf(key);
}

function rankOf({ state }: KnownKey): number {
  return KEY_STATES.indexOf(state);
}

function tooManyWaiting(): JwtctlError {
  return new JwtctlError(
    'ERR_VERIFIER_OVERLOADED',
    'Too many tokens with an unknown kid are waiting for the keys to be read again.',
    {
      hint: 'Try again in a second. The database may be slow, or a client may be sending tokens with made-up kids.',
    },
  );
}
