import type { KnownUserStatus } from '../../../../domain/ports/index.js';
import { relativeTime } from '../../time.js';

/** Returns text such as `enabled, expires in 51s`. */
export function cachedUserText({ status, until }: KnownUserStatus, now: number): string {
  return `${status}, ${until > now ? 'expires' : 'expired'} ${relativeTime(until, now)}`;
}
