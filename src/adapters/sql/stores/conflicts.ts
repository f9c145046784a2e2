import { setTimeout as delay } from 'node:timers/promises';
import { JwtctlError } from '../../../domain/shared/errors.js';

const ATTEMPTS = 8;

/** Two transactions stood in each other's way. The same work, done again, is expected to pass. */
export class ConflictError extends JwtctlError {
  /** After so long {@link retryConflicts} begins the work no more. */
  readonly retryForMs: number;

  constructor(store: string, cause: unknown, retryForMs: number) {
    super('ERR_DATABASE_CONFLICT', `${store} is busy with other writers.`, {
      hint: 'Try again; if it stays so, look for a long transaction or lock on the tables of jwtctl.',
      cause,
    });
    this.retryForMs = retryForMs;
  }
}

/** A unique index refuses a row. Which one is for the store to find out: drivers tell it in wording only. */
export function duplicateKeyError(cause: unknown): JwtctlError {
  return new JwtctlError('ERR_DUPLICATE_KEY', 'A row with this key exists already.', { cause });
}

export function isDuplicateKey(error: unknown): boolean {
  return error instanceof JwtctlError && error.code === 'ERR_DUPLICATE_KEY';
}

/**
 * Runs a transaction again where a concurrent engine gave it up (deadlock, lock wait, changed record, SQLITE_BUSY; at
 * COMMIT too). A connection that was lost is not in that number: its COMMIT may have happened.
 *
 * A deadlock is told at once, a lock after seconds: so attempts are counted, and time is too.
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
