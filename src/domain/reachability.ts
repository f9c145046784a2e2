import { JwtctlError } from './errors.js';

/**
 * What a store answers, or `otherwise` where it cannot be reached: only for what can be done without, such as a look at
 * the registry before a revocation is recorded, which a registry that is away must not prevent.
 */
export async function ifReachable<T>(ask: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof JwtctlError && error.kind === 'unavailable') return otherwise;
    throw error;
  }
}
