import type { KeyObject } from 'node:crypto';
import { readActiveKey } from '../keys/find-key.js';
import { toPrivateKey } from '../keys/open-private-key.js';
import { ISSUER_KEY_HOLD_SECONDS } from '../model/lifetime.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Clock, Database, Sealer } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

const ATTEMPTS = 5;

export interface Signer {
  key: SigningKey;
  privateKey: KeyObject;
  readAt: number;
  revision: number;
}

export interface SignerPorts {
  database: Pick<Database, 'keys' | 'transaction'>;
  sealer: Sealer;
  clock: Clock;
}

interface SignerPolicy {
  maxTtlSeconds: number;
  refreshTtlSeconds: number;
}

interface CachedSigner {
  opening: Promise<Signer>;
  opened?: Signer;
  since: number;
}

/** Half of the limit, so that slow stores do not exceed it. */
const REOPEN_AFTER_SECONDS = ISSUER_KEY_HOLD_SECONDS / 2;

/** Opens the active key, and keeps it for at most {@link ISSUER_KEY_HOLD_SECONDS}. */
export class ActiveSigner {
  readonly #ports: SignerPorts;
  readonly #policy: SignerPolicy;
  #cached: CachedSigner | undefined;

  constructor(ports: SignerPorts, policy: SignerPolicy) {
    this.#ports = ports;
    this.#policy = policy;
  }

  current(): Promise<Signer> {
    const now = this.#ports.clock.now();
    if (this.#cached === undefined || !isWithin(REOPEN_AFTER_SECONDS, this.#cached.since, now)) {
      const cached: CachedSigner = { opening: this.#open(), since: now };
      this.#cached = cached;
      cached.opening.then(
        (signer) => {
          cached.opened = signer;
        },
        () => {
          this.#cached = undefined;
        },
      );
    }
    return this.#cached.opening;
  }

  /** Returns whether the key may sign, even if another key has become active since. */
  static maySign({ readAt }: Signer, now: number): boolean {
    return isWithin(ISSUER_KEY_HOLD_SECONDS, readAt, now);
  }

  /** Drops the signer, unless it was replaced already. */
  drop(signer: Signer): void {
    if (this.#cached?.opened === signer) this.#cached = undefined;
  }

  async #open(): Promise<Signer> {
    const { database, sealer, clock } = this.#ports;
    await this.#raiseRefreshTtl();
    let readAt = clock.now();
    let { key, revision } = await readActiveKey(database);
    for (let attempt = 1; ; attempt++) {
      // Stored before the first token, because `verifyUntil` is calculated from the longest lifetime.
      const isKnown = (key.maxTtlSeconds ?? 0) >= this.#policy.maxTtlSeconds;
      const isActive = isKnown || (await this.#raiseMaxTtl(key));
      if (!isKnown && isActive) revision += 1;
      const sealed = isActive ? await database.keys.findSealed(key.kid) : null;
      if (sealed !== null) {
        const privateKey = toPrivateKey(key, await sealer.open(key.kid, sealed));
        if (clock.now() === readAt) return { key, privateKey, readAt, revision };
        // If opening was slow, another key may be active now.
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
      if (attempt < ATTEMPTS) continue;
      throw new JwtctlError('ERR_PRIVATE_KEY_MISSING', `The active key ${key.kid} has no private key.`);
    }
  }

  /** Stored before the first refresh token, because events must outlive it: another host may record them. */
  async #raiseRefreshTtl(): Promise<void> {
    const { keys } = this.#ports.database;
    const { refreshTtlSeconds } = this.#policy;
    const { refreshTokenSeconds } = await keys.longestLifetimes();
    if (refreshTokenSeconds < refreshTtlSeconds) await keys.raiseRefreshTtl(refreshTtlSeconds);
  }

  #raiseMaxTtl({ kid }: SigningKey): Promise<boolean> {
    return this.#ports.database.transaction(({ keys }) => keys.raiseMaxTtl(kid, this.#policy.maxTtlSeconds));
  }
}

/** Returns false if the clock was set back. */
function isWithin(seconds: number, since: number, now: number): boolean {
  return since <= now && now < since + seconds;
}
