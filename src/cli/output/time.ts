import { formatDuration } from '../../domain/shared/duration.js';

/** A moment as one reads it in a table: `3m ago`, `in 2h`; a dash where there is none. */
export function relativeTime(time: number | null, now: number): string {
  if (time === null) return '-';
  const distance = Math.abs(time - now);
  if (distance === 0) return 'now';
  const text = coarse(distance);
  return time > now ? `in ${text}` : `${text} ago`;
}

/** A moment in full: ISO 8601 in UTC. A stranger's number may be no date. */
export function isoTime(time: number): string {
  if (Math.abs(time) > 8.64e12) return 'out of range';
  return new Date(time * 1000).toISOString().replace('.000Z', 'Z');
}

/** The two largest units: seconds do not matter beside days. */
function coarse(seconds: number): string {
  const units = formatDuration(seconds).match(/\d+[dhms]/g) ?? [];
  return units.slice(0, 2).join('');
}
