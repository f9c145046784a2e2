import { JwtctlError } from './errors.js';

/** Returns `otherwise` if the store is unavailable. For optional reads, such as before a revocation. */
export async function ifReachable<T>(ask: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof JwtctlError && error.kind === 'unavailable') return otherwise;
    throw error;
  }
}

/** Returns whether a store or a file failed, as opposed to a defect. Completed work stays done. */
export function isFailureOutside(error: unknown): error is JwtctlError {
  if (!(error instanceof JwtctlError)) return false;
  return error.kind === 'unavailable' || /^ERR_FILE_UN(READ|WRIT)ABLE$/.test(error.code);
}

/** Returns whether the store did not answer within the timeout. Asking again would take as long. */
export function isSilence({ code, cause }: JwtctlError): boolean {
  return code === 'ERR_REDIS_CLUSTER_DOWN' || (cause as { code?: unknown } | undefined)?.code === 'ETIMEDOUT';
}
