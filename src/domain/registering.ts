import { JwtctlError } from './errors.js';
import type { Registration, TokenRegistry } from './ports.js';

/**
 * Registers a batch, and once more where the registry did not answer: an entry that is there already is not changed.
 *
 * Where a subject may have only so many tokens it is not tried again: an entry that had made room since would come back
 * and push out a newer one.
 *
 * @returns and throws what {@link TokenRegistry.registerMany} does
 */
export async function registerMany(
  registry: TokenRegistry,
  registrations: readonly Registration[],
): Promise<Array<JwtctlError | null>> {
  try {
    return await registry.registerMany(registrations);
  } catch (error) {
    const isAway = error instanceof JwtctlError && error.kind === 'unavailable' && !REFUSALS.has(error.code);
    const isCapped = registrations.some(({ maxPerSubject }) => maxPerSubject !== undefined);
    if (!isAway || isCapped) throw error;
    return registry.registerMany(registrations);
  }
}

/** A login or a permission gets no better by being tried again. */
const REFUSALS = new Set(['ERR_REDIS_AUTH', 'ERR_REDIS_FORBIDDEN']);
