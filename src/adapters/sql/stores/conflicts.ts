import { setTimeout as delay } from 'node:timers/promises';
import { JwtctlError } from '../../../domain/shared/errors.js';

const ATTEMPTS = 8;

/** Two transactions conflicted. A retry is expected to succeed. */
export class ConflictError extends JwtctlError {
  /** {@link retryConflicts} starts no retry after this time. */
  readonly retryForMs: number;

  constructor(store: string, cause: unknown, retryForMs: number) {
    super('ERR_DATABASE_CONFLICT', `${store} is busy with other writers.`, {
      hint: "Try again. If this continues, look for a long transaction or a lock on jwtctl's tables.",
      cause,
    });
    this.retryForMs = retryForMs;
  }
}

/**
 * A unique index refused a row. The store must find out which one: drivers name the index only in the message
 * text.
 */
export function duplicateKeyError(cause: unknown): JwtctlError {
  return new JwtctlError('ERR_DUPLICATE_KEY', 'A row with this key already exists.', { cause });
}

export function isDuplicateKey(error: unknown): boolean {
  return error instanceof JwtctlError && error.code === 'ERR_DUPLICATE_KEY';
}

/**
 * Retries a transaction after a conflict (deadlock, lock wait, changed record, SQLITE_BUSY), also one at
 * COMMIT. Never retries after a lost connection, because its COMMIT may have succeeded.
 *
 * Attempts and time are both limited: a deadlock is reported at once, a lock wait only after seconds.
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
