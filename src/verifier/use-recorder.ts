import type { Clock, StatusReader, StoredUse } from '../domain/ports/index.js';
import { idleSeconds, isTouchDue, lastUse } from '../domain/registry/idle.js';
import { type ErrorCode, JwtctlError } from '../domain/shared/errors.js';
import type { VerifierHealth } from './health.js';
import type { KnownToken } from './token-cache.js';

/**
 * Stores when tokens are used, if `token.idleTimeout` is set. A use that cannot be stored is not refused: this
 * verifier remembers it.
 */
export class UseRecorder {
  readonly #statusReader: Pick<StatusReader, 'touch'>;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #policy: UsePolicy;
  readonly #running = new Set<Promise<void>>();
  #stored = 0;
  #failed = 0;
  #since: number;
  #code: ErrorCode | null = null;

  constructor(
    { statusReader, clock }: { statusReader: Pick<StatusReader, 'touch'>; clock: Pick<Clock, 'now'> },
    policy: UsePolicy,
  ) {
    this.#statusReader = statusReader;
    this.#clock = clock;
    this.#policy = policy;
    this.#since = clock.now();
  }

  /** Returns the last use that the registry or this verifier knows of. */
  learn(known: KnownToken, stored: StoredUse, now: number): number | undefined {
    const use = lastUse(stored, this.#policy, now);
    if (use !== undefined && use > (known.lastSeen ?? 0)) known.lastSeen = use;
    // The token was used at a verifier with a wrong clock, so the earlier use says nothing.
    if (use === undefined && stored.lastSeen !== undefined) known.lastSeen = undefined;
    return known.lastSeen;
  }

  /** Whether the next use must be stored, as far as this verifier knows. */
  isDue({ lastSeen }: KnownToken, now: number): boolean {
    return isTouchDue(lastSeen, this.#policy.idleTimeoutSeconds, now);
  }

  isIdle({ lastSeen }: KnownToken, now: number): boolean {
    return idleSeconds(lastSeen, this.#policy.idleTimeoutSeconds, now) !== undefined;
  }

  /** Call this for each accepted token, and for no other. */
  record(known: KnownToken, now: number, stored?: StoredUse): void {
    if (!this.isDue(known, now)) return;
    known.lastSeen = now;
    const { claims, key } = known;
    const entry = { jti: claims.jti, iat: claims.iat, keyId: key.id };
    const touching = this.#touch(claims.sub, entry, now, stored?.lastSeen);
    this.#running.add(touching);
    void touching.finally(() => this.#running.delete(touching));
  }

  health(): VerifierHealth['uses'] {
    if (this.#policy.idleTimeoutSeconds === null) return null;
    return { stored: this.#stored, failed: this.#failed, since: this.#since, code: this.#code };
  }

  async end(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #touch(...use: Parameters<StatusReader['touch']>): Promise<void> {
    let code: ErrorCode | null = null;
    try {
      await this.#statusReader.touch(...use);
      this.#stored += 1;
    } catch (error) {
      this.#failed += 1;
      code = error instanceof JwtctlError ? error.code : 'ERR_BUG';
    }
    if ((code === null) !== (this.#code === null)) this.#since = this.#clock.now();
    this.#code = code;
  }
}

type UsePolicy = Parameters<typeof lastUse>[1];
