import { setTimeout as delay } from 'node:timers/promises';
import { JwtctlError } from '../../../domain/shared/errors.js';

const ATTEMPTS = 8;

/** Two transactions conflicted. A retry is expected to succeed. */
export class ConflictError extends JwtctlError {
  readonly retryForMs: number;

  constructor(store: string, cause: unknown, retryForMs: number) {
    super('ERR_DATABASE_CONFLICT', `${store} is busy with other writers.`, {
      hint: "Try again. If this continues, look for a long transaction or a lock on jwtctl's tables.",
      cause,
    });
    this.retryForMs = retryForMs;
  }
}

/** Drivers name the index only in the message text, so the store must find out which one it was. */
export function duplicateKeyError(cause: unknown): JwtctlError {
  return new JwtctlError('ERR_DUPLICATE_KEY', 'A row with this key already exists.', { cause });
}

export function isDuplicateKey(error: unknown): boolean {
  return error instanceof JwtctlError && error.code === 'ERR_DUPLICATE_KEY';
}

/**
 * Retries after a conflict, even at COMMIT, but never after a lost connection: COMMIT may have succeeded.
 * Limits attempts and time, because a deadlock is reported at once, a lock wait only after seconds.
 */
export async function retryConflicts<T>(transaction: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await transaction();
    } catch (error) {
      if (!(error instanceof ConflictError) || attempt === ATTEMPTS) throw error;
      if (performance.now() - startedAt >= error.retryForMs) throw error;
      await delay(Math.random() * 20 * attempt);
    }
  }
}
