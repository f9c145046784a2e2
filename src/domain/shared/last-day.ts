import { DAY_SECONDS } from './duration.js';

/** Reads a date as its end in UTC, or a NumericDate as it is. Returns the first second after it; null for other text. */
export function parseLastDay(text: string): number | null {
  if (/^\d{9,11}$/.test(text)) return Number(text);
  const start = /^\d{4}-\d{2}-\d{2}$/.test(text) ? new Date(`${text}T00:00:00Z`) : null;
  // February 30 would become March 2.
  const isDate = start !== null && !Number.isNaN(start.getTime()) && start.toISOString().startsWith(text);
  return isDate ? start.getTime() / 1000 + DAY_SECONDS : null;
}

/** Returns text that {@link parseLastDay} reads as the same number. */
export function formatLastDay(end: number): string {
  if (end % DAY_SECONDS !== 0) return String(end);
  return new Date((end - DAY_SECONDS) * 1000).toISOString().slice(0, 10);
}

/** Completes "ended": `on 2026-11-29 (UTC)`, `at 2026-11-29T12:00:00Z`. */
export function describeEnd(end: number): string {
  if (end % DAY_SECONDS === 0) return `on ${formatLastDay(end)} (UTC)`;
  return `at ${new Date(end * 1000).toISOString().replace('.000Z', 'Z')}`;
}
