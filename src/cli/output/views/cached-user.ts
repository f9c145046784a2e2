import type { KnownUserStatus } from '../../../domain/ports/index.js';
import { relativeTime } from '../time.js';

/** What is noted of a user beside the entries: `enabled, lapses in 51s`. */
export function cachedUserText({ status, until }: KnownUserStatus, now: number): string {
  return `${status}, ${until > now ? 'lapses' : 'lapsed'} ${relativeTime(until, now)}`;
}
