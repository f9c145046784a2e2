import type { StoredUse } from '../ports/index.js';

/** How old the newest snapshot may be if Redis restarts. With its default settings, it saves changes within an hour. */
export const LOST_BY_RESTART_SECONDS = 3600;

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

/**
 * Returns the last use that counts. If the server has started since, it may have lost later uses. So a token that may
 * have been in use then counts as used when the server started. A time in the future comes from a wrong clock, so it
 * does not count.
 */
export function lastUse(
  { lastSeen, serverStartedAt = null }: StoredUse,
  {
    idleTimeoutSeconds,
    clockToleranceSeconds,
  }: { idleTimeoutSeconds: number | null; clockToleranceSeconds: number },
  now: number,
): number | undefined {
  if (lastSeen === undefined || lastSeen > now + clockToleranceSeconds) return undefined;
  if (idleTimeoutSeconds === null || serverStartedAt === null || lastSeen >= serverStartedAt) return lastSeen;
  const wasIdle = serverStartedAt - lastSeen >= idleTimeoutSeconds + LOST_BY_RESTART_SECONDS;
  return wasIdle ? lastSeen : Math.min(serverStartedAt, now);
}
