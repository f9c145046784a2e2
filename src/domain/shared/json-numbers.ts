import { randomUUID } from 'node:crypto';
import { JwtctlError } from './errors.js';
import { excerpt } from './text.js';

/** JSON has no other place for a digit than a string or a number. */
const STRINGS_AND_NUMBERS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;

/**
 * @param asText how to write a number as a string in this place
 * @throws JwtctlError `ERR_NUMBER_INEXACT` (usage) if parsing changes a number of this JSON text
 */
export function assertExactNumbers(json: string, where: string, asText = inQuotes): void {
  for (const [text] of json.matchAll(STRINGS_AND_NUMBERS)) {
    if (text.startsWith('"') || survives(text)) continue;
    const read = JSON.stringify(Number(text));
    const change = read === text ? 'is beyond 2^53' : `would become ${read}`;
    throw inexact(`${where} has the number ${excerpt(text)}, which ${change}.`, asText(excerpt(text)));
  }
}

/** @throws JwtctlError `ERR_NUMBER_INEXACT` (usage) if JSON cannot hold a number of this value exactly */
export function assertExactValue(value: unknown, where: string): void {
  JSON.stringify(value, (_name, member: unknown) => {
    const isInexact = typeof member === 'bigint' || (typeof member === 'number' && !isExact(member));
    if (!isInexact) return member;
    const what = typeof member === 'bigint' ? 'BigInt' : 'number';
    throw inexact(
      `${where} has the ${what} ${member}, which JSON does not hold exactly.`,
      inQuotes(String(member)),
    );
  });
}

function inQuotes(number: string): string {
  return `"${number}"`;
}

function inexact(message: string, asText: string): JwtctlError {
  return new JwtctlError('ERR_NUMBER_INEXACT', message, { hint: `Write the number as a string: ${asText}` });
}

function survives(text: string): boolean {
  const value = Number(text);
  return isExact(value) && decimal(text) === decimal(String(value));
}

/** An integer beyond 2^53 may stand for any of its neighbors. */
function isExact(value: number): boolean {
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
}

/** Returns the same text for numbers of equal value: `15e-1` for `1.5`, `1.50`, and `0.15E1`. */
function decimal(text: string): string {
  const [, whole = '', fraction = '', exponent = '0'] =
    /^-?(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  let end = digits.length;
  while (digits.charAt(end - 1) === '0') end -= 1;
  const kept = digits.slice(0, end);
  if (kept === '') return '0';
  return `${kept}e${Number(exponent) - fraction.length + digits.length - kept.length}`;
}

/** A number as a token spells it, where JavaScript would spell it in another way: `1147953659032899584`, `1e400`, `1.0`. */
class SpelledNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }

  /** For {@link stringifySpelled}, which restores the digits. */
  toJSON(): string {
    return `${mark()}${this.text}`;
  }
}

let made: string | undefined;

/** Random, so that no text of a token is taken for a number. Made when first needed, because few tokens need it. */
function mark(): string {
  made ??= `number-${randomUUID()}-`;
  return made;
}

/** Parses valid JSON, but keeps the digits of each number. Recursive: check the depth first. */
export function parseSpelled(json: string): unknown {
  const marked = json.replace(STRINGS_AND_NUMBERS, (text) =>
    text.startsWith('"') || String(Number(text)) === text ? text : `"${mark()}${text}"`,
  );
  if (marked === json) return JSON.parse(json);
  return JSON.parse(marked, (_name, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark())
      ? new SpelledNumber(value.slice(mark().length))
      : value,
  );
}

export function stringifySpelled(value: unknown): string {
  const json = JSON.stringify(value);
  if (made === undefined || !json.includes(made)) return json;
  return json.replace(new RegExp(`"${made}([^"]*)"`, 'g'), '$1');
}
