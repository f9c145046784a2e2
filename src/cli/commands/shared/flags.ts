import { parseDuration } from '../../../domain/shared/duration.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { excerpt, hasControlCharacter } from '../../../domain/shared/text.js';

export const durationFlag = (text: string): number => parseDuration(text);

export function integerFlag(flag: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new JwtctlError(
      'ERR_FLAG_INVALID',
      `${flag} is '${excerpt(text)}'; expected a whole number from ${min} to ${max}.`,
    );
  };
}

/** Accepts the name of a table or a column, with at most `parts` parts: `schema.table` has two. */
export function identifierFlag(flag: string, parts: 1 | 2): (text: string) => string {
  return (text) => {
    const names = text.split('.');
    const isName = (name: string) => /^[^`\0]{1,64}$/u.test(name) && !hasControlCharacter(name);
    if (names.length <= parts && names.every(isName)) return text;
    const expected = parts === 1 ? 'the name of a column' : 'the name of a table, with or without its schema';
    throw new JwtctlError('ERR_FLAG_INVALID', `${flag} is '${excerpt(text)}'; expected ${expected}.`);
  };
}

export function repeatedFlag(text: string, earlier: string[] | undefined): string[] {
  return [...(earlier ?? []), text];
}

/** Accepts a time, `now`, or how long ago: `2h`. */
export function pastMomentFlag(flag: string): (text: string) => number {
  const parse = momentFlag(flag, `${MOMENT_FORM}, now, or how long ago, such as 2h`);
  return (text) => {
    const now = Math.floor(Date.now() / 1000);
    if (text === 'now') return now;
    return /^(?:\d+[dhms])+$/.test(text) ? now - parseDuration(text) : parse(text);
  };
}

const MOMENT_FORM = 'NumericDate seconds or a date such as 2026-01-31T12:00:00Z';

export function momentFlag(flag: string, expected = MOMENT_FORM): (text: string) => number {
  return (text) => {
    if (/^\d{1,12}$/.test(text)) return Number(text);
    const isIso = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text);
    const milliseconds = isIso ? Date.parse(text) : Number.NaN;
    if (Number.isFinite(milliseconds) && isCalendarDay(text.slice(0, 10)))
      return Math.floor(milliseconds / 1000);
    throw new JwtctlError('ERR_FLAG_INVALID', `${flag} is '${excerpt(text)}'; expected ${expected}.`);
  };
}

/** Date.parse accepts February 31 as March 3. */
function isCalendarDay(day: string): boolean {
  return new Date(`${day}T00:00Z`).toISOString().startsWith(day);
}

/** @throws JwtctlError `ERR_FLAG_COMBINATION` (usage) unless exactly one of these flags is given */
export function exactlyOne(given: Record<string, unknown>): void {
  const all = Object.keys(given);
  if (all.filter((name) => given[name] !== undefined && given[name] !== false).length === 1) return;
  throw contradiction(`Specify exactly one of ${all.join(' or ')}.`);
}

export function contradiction(message: string, hint?: string): JwtctlError {
  return new JwtctlError('ERR_FLAG_COMBINATION', message, { hint });
}
