import type { Clock, EntryName, StatusReader } from '../domain/ports/index.js';
import { type ErrorCode, JwtctlError } from '../domain/shared/errors.js';
import { idleSeconds, isTouchDue } from '../domain/verification/idle.js';
import type { VerifierHealth } from './health.js';
import type { KnownToken } from './token-cache.js';

/**
 * Stores when tokens are used, if `token.idleTimeout` is set. A use that cannot be stored is not refused: this
 * verifier remembers it.
 */
export class UseRecorder {
  readonly #statusReader: Pick<StatusReader, 'touch'>;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #timeoutSeconds: number | null;
  readonly #running = new Set<Promise<void>>();
  #stored = 0;
  #failed = 0;
  #since: number;
  #code: ErrorCode | null = null;

  constructor(
    { statusReader, clock }: { statusReader: Pick<StatusReader, 'touch'>; clock: Pick<Clock, 'now'> },
    idleTimeoutSeconds: number | null,
  ) {
    this.#statusReader = statusReader;
    this.#clock = clock;
    this.#timeoutSeconds = idleTimeoutSeconds;
    this.#since = clock.now();
  }

  /** Returns the last use that the registry or this verifier knows of. */
  learn(known: KnownToken, stored: number | undefined): number | undefined {
    if (stored !== undefined && stored > (known.lastSeen ?? 0)) known.lastSeen = stored;
    return known.lastSeen;
  }

  /** Whether the next use must be stored, as far as this verifier knows. */
  isDue({ lastSeen }: KnownToken, now: number): boolean {
    return isTouchDue(lastSeen, this.#timeoutSeconds, now);
  }

  isIdle({ lastSeen }: KnownToken, now: number): boolean {
    return idleSeconds(lastSeen, this.#timeoutSeconds, now) !== undefined;
  }

  /** Call this for each accepted token, and for no other. */
  record(known: KnownToken, now: number): void {
    if (!this.isDue(known, now)) return;
    known.lastSeen = now;
    const { claims, key } = known;
    const touching = this.#touch(claims.sub, { jti: claims.jti, iat: claims.iat, keyId: key.id }, now);
    this.#running.add(touching);
    void touching.finally(() => this.#running.delete(touching));
  }

  health(): VerifierHealth['uses'] {
    if (this.#timeoutSeconds === null) return null;
    return { stored: this.#stored, failed: this.#failed, since: this.#since, code: this.#code };
  }

  async end(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #touch(sub: string, entry: EntryName, now: number): Promise<void> {
    let code: ErrorCode | null = null;
    try {
      await this.#statusReader.touch(sub, entry, now);
      this.#stored += 1;
    } catch (error) {
      this.#failed += 1;
      code = error instanceof JwtctlError ? error.code : 'ERR_BUG';
    }
    if ((code === null) !== (this.#code === null)) this.#since = this.#clock.now();
    this.#code = code;
  }
}
