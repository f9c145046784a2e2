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

/** A store that is away, a file that cannot be read or written any more: what was done until then is done all the same. */
export function isFailureOutside(error: unknown): error is JwtctlError {
  if (!(error instanceof JwtctlError)) return false;
  return error.kind === 'unavailable' || /^ERR_FILE_UN(READ|WRIT)ABLE$/.test(error.code);
}

/** Whether a store was waited for in vain, in full or nearly so: to ask it again would cost as much again. */
export function isSilence({ code, cause }: JwtctlError): boolean {
  return code === 'ERR_REDIS_CLUSTER_DOWN' || (cause as { code?: unknown } | undefined)?.code === 'ETIMEDOUT';
}
