import { describeValue } from './describe-value.js';
import { JwtctlError } from './errors.js';
import { excerpt } from './text.js';

export const DAY_SECONDS = 86_400;
export const CENTURY_SECONDS = 36_500 * DAY_SECONDS;

const SECONDS = { d: DAY_SECONDS, h: 3_600, m: 60, s: 1 } as const;
const SHAPE = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/;

export const DURATION_FORM =
  'a duration above zero such as 90s, 15m, 12h, 30d or 1h30m, or a whole number of seconds';

/**
 * Accepts seconds as a number or text, or `90s`, `1h30m`: each of d, h, m, s once.
 * @param member for the message, if the value belongs to an object
 * @throws `ERR_DURATION_INVALID` (usage)
 */
export function parseDuration(value: unknown, member?: string): number {
  if (typeof value !== 'string' && typeof value !== 'number') {
    const problem = member === undefined ? 'A duration cannot be' : `The ${member} is`;
    const message = `${problem} ${describeValue(value)}; expected ${DURATION_FORM}.`;
    throw new JwtctlError('ERR_DURATION_INVALID', message);
  }
  const text = String(value);
  const seconds = /^\d+$/.test(text) ? Number(text) : sumOfUnits(text);
  if (!Number.isSafeInteger(seconds) || seconds < 1) {
    const likely = likelyDuration(text);
    const shown = `'${excerpt(text)}'`;
    const problem = member === undefined ? `${shown} is not a duration` : `The ${member} is ${shown}`;
    throw new JwtctlError('ERR_DURATION_INVALID', `${problem}; expected ${DURATION_FORM}.`, {
      hint: likely === null ? undefined : `Did you mean ${likely}?`,
    });
  }
  return seconds;
}

/** Returns null for anything that is not a duration. */
export function durationOrNull(value: unknown): number | null {
  try {
    return parseDuration(value);
  } catch (error) {
    if (error instanceof JwtctlError) return null;
    throw error;
  }
}

/** Returns the duration that a text such as `1 hour`, `15min`, or `2 weeks` means; null if it means none. */
export function likelyDuration(text: string): string | null {
  const [, digits, word = ''] = /^(\d{1,6})\s*([a-z]+)\.?$/.exec(text.trim().toLowerCase()) ?? [];
  const unit = Object.entries(UNIT_WORDS).find(([, words]) => words.test(word))?.[0];
  if (digits === undefined || unit === undefined || Number(digits) === 0) return null;
  return unit === 'w' ? `${7 * Number(digits)}d` : `${Number(digits)}${unit}`;
}

const UNIT_WORDS = {
  w: /^w(eeks?)?$/,
  d: /^d(ays?)?$/,
  h: /^h(ou)?(rs?)?$/,
  m: /^m(in(ute)?s?)?$/,
  s: /^s(ec(ond)?s?)?$/,
} as const;

/** Returns the shortest text that {@link parseDuration} reads as the same number: `1h30m` for 5400. */
export function formatDuration(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds));
  let text = '';
  for (const [unit, size] of Object.entries(SECONDS)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text || '0s';
}

function sumOfUnits(text: string): number {
  const match = SHAPE.exec(text);
  if (match === null || text === '') return Number.NaN;
  return Object.values(SECONDS).reduce((sum, size, index) => sum + size * Number(match[index + 1] ?? 0), 0);
}
