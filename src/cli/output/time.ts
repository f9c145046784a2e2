import { formatDuration } from '../../domain/shared/duration.js';

/** Returns text such as `3m ago` or `in 2h`; a dash for null. */
export function relativeTime(time: number | null, now: number): string {
  if (time === null) return '-';
  const distance = Math.abs(time - now);
  if (distance === 0) return 'now';
  const text = coarseDuration(distance);
  return time > now ? `in ${text}` : `${text} ago`;
}

/** Returns the time in ISO 8601 and UTC. The number may come from an untrusted token. */
export function isoTime(time: number): string {
  if (Math.abs(time) > 8.64e12) return 'out of range';
  return new Date(time * 1000).toISOString().replace('.000Z', 'Z');
}

/** Returns at most two units: `3d22h`. */
export function coarseDuration(seconds: number): string {
  const units = formatDuration(seconds).match(/\d+[dhms]/g) ?? [];
  return units.slice(0, 2).join('');
}
