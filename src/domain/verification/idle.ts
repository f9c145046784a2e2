/** Each use that is stored is a write, so a running verifier stores only some of them. */
const STORED_PER_TIMEOUT = 10;

/** Returns for how long a token has not been used, if that is too long. A token without a stored use may be used. */
export function idleSeconds(
  lastSeen: number | undefined,
  idleTimeoutSeconds: number | null,
  now: number,
): number | undefined {
  if (idleTimeoutSeconds === null || lastSeen === undefined) return undefined;
  return now - lastSeen >= idleTimeoutSeconds ? now - lastSeen : undefined;
}

/** Whether a use of a token must be stored now. */
export function isTouchDue(
  lastSeen: number | undefined,
  idleTimeoutSeconds: number | null,
  now: number,
): boolean {
  if (idleTimeoutSeconds === null) return false;
  return lastSeen === undefined || now - lastSeen >= idleTimeoutSeconds / STORED_PER_TIMEOUT;
}
