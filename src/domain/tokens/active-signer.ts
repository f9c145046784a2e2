import type { KeyObject } from 'node:crypto';
import { readActiveKey } from '../keys/find-key.js';
import { toPrivateKey } from '../keys/to-private-key.js';
import { ISSUER_KEY_HOLD_SECONDS } from '../model/lifetime.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Clock, Database, Sealer } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

const ATTEMPTS = 5;

/** The active key, opened. */
export interface Signer {
  key: SigningKey;
  privateKey: KeyObject;
  /** When the key store last confirmed that the key is active, and at which revision. */
  readAt: number;
  revision: number;
}

export interface SignerPorts {
  database: Pick<Database, 'keys' | 'transaction'>;
  sealer: Sealer;
  clock: Clock;
}

interface Held {
  opening: Promise<Signer>;
  /** Set once it is. */
  opened?: Signer;
  /** When it was begun. */
  since: number;
}

// Half of the hold: a token that meets a slow rotation, or a slow registry, stays within the whole of it.
const READ_AGAIN_AFTER_SECONDS = ISSUER_KEY_HOLD_SECONDS / 2;

/** The active key, held between two tokens, {@link ISSUER_KEY_HOLD_SECONDS} at most. */
export class HeldSigner {
  readonly #ports: SignerPorts;
  readonly #maxTtlSeconds: number;
  #held: Held | undefined;

  /** @param maxTtlSeconds the longest lifetime that will be given to a token under the key */
  constructor(ports: SignerPorts, maxTtlSeconds: number) {
    this.#ports = ports;
    this.#maxTtlSeconds = maxTtlSeconds;
  }

  /** One unsealing for many tokens, and never a key that stepped down longer ago than `verifyUntil` allows for. */
  current(): Promise<Signer> {
    const now = this.#ports.clock.now();
    if (this.#held === undefined || !isWithin(READ_AGAIN_AFTER_SECONDS, this.#held.since, now)) {
      const held: Held = { opening: this.#open(), since: now };
      this.#held = held;
      held.opening.then(
        (signer) => {
          held.opened = signer;
        },
        () => {
          this.#held = undefined;
        },
      );
    }
    return this.#held.opening;
  }

  /** Whether the key may sign at `now`, though it may have stepped down since it was read. */
  static maySign({ readAt }: Signer, now: number): boolean {
    return isWithin(ISSUER_KEY_HOLD_SECONDS, readAt, now);
  }

  /** Lets go of a key that must not sign any more, unless another one has taken its place already. */
  letGo(signer: Signer): void {
    if (this.#held?.opened === signer) this.#held = undefined;
  }

  async #open(): Promise<Signer> {
    const { database, sealer, clock } = this.#ports;
    let readAt = clock.now();
    let { key, revision } = await readActiveKey(database);
    for (let attempt = 1; ; attempt++) {
      // `verifyUntil` is reckoned from the longest lifetime that any issuer gave under this key: it has to be known before the first such token.
      const isKnown = (key.maxTtlSeconds ?? 0) >= this.#maxTtlSeconds;
      const isActive = isKnown || (await this.#raiseMaxTtl(key));
      // This change raised the revision by one. An earlier change by another process shows up in the next read.
      if (!isKnown && isActive) revision += 1;
      const sealed = isActive ? await database.keys.findSealed(key.kid) : null;
      if (sealed !== null) {
        const privateKey = toPrivateKey(key, await sealer.open(key.kid, sealed));
        if (clock.now() === readAt) return { key, privateKey, readAt, revision };
        // A vault may take its time, in which another key may have begun to sign.
        const openedAt = clock.now();
        const active = await readActiveKey(database);
        if (active.key.kid === key.kid)
          return { key, privateKey, readAt: openedAt, revision: active.revision };
        ({ key, revision } = active);
        readAt = openedAt;
      } else {
        readAt = clock.now();
        ({ key, revision } = await readActiveKey(database));
      }
      // It stepped down between two reads; but not again and again.
      if (attempt === ATTEMPTS) throw privateKeyMissing(key);
    }
  }

  #raiseMaxTtl({ kid }: SigningKey): Promise<boolean> {
    return this.#ports.database.transaction(({ keys }) => keys.raiseMaxTtl(kid, this.#maxTtlSeconds));
  }
}

/** A clock that was set back would otherwise have a key held for as long. */
function isWithin(seconds: number, since: number, now: number): boolean {
  return since <= now && now < since + seconds;
}

function privateKeyMissing(key: SigningKey): JwtctlError {
  return new JwtctlError('ERR_PRIVATE_KEY_MISSING', `The active key ${key.kid} has no private key.`, {
    hint: 'Restore its row from a backup, or run `jwtctl keys rotate --now`.',
  });
}
