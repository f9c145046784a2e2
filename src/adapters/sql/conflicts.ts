import { setTimeout as delay } from 'node:timers/promises';
import { JwtctlError } from '../../domain/errors.js';

const ATTEMPTS = 8;

/** Two transactions stood in each other's way. The same work, done again, is expected to pass. */
export function conflictError(store: string, cause: unknown): JwtctlError {
  return new JwtctlError('unavailable', 'ERR_DATABASE_CONFLICT', `${store} is busy with other writers.`, {
    hint: 'Try again; if it stays so, look for a long transaction or lock on the tables of jwtctl.',
    cause,
  });
}

/** A unique index refuses a row. Which one is for the store to find out: drivers tell it in wording only. */
export function duplicateKeyError(cause: unknown): JwtctlError {
  return new JwtctlError('state', 'ERR_DUPLICATE_KEY', 'A row with this key exists already.', { cause });
}

export function isDuplicateKey(error: unknown): boolean {
  return error instanceof JwtctlError && error.code === 'ERR_DUPLICATE_KEY';
}

/**
 * Runs a transaction again where a concurrent engine gave it up (deadlock, lock wait, changed record, SQLITE_BUSY; at
 * COMMIT too). A connection that was lost is not in that number: its COMMIT may have happened.
 */
export async function retryConflicts<T>(transaction: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await transaction();
    } catch (error) {
      const isConflict = error instanceof JwtctlError && error.code === 'ERR_DATABASE_CONFLICT';
      if (!isConflict || attempt === ATTEMPTS) throw error;
      await delay(Math.random() * 20 * attempt);
    }
  }
}
