import { describeValue } from '../shared/describe-value.js';
import { JwtctlError } from '../shared/errors.js';
import { excerpt, hasControlCharacter } from '../shared/text.js';

/** Facts about a session, such as its device or address. They are stored with the registry entry, not in the token. */
export type TokenMeta = Readonly<Record<string, string>>;

const MAX_PAIRS = 8;
const MAX_BYTES = 512;

/** @throws JwtctlError `ERR_META_INVALID` (usage) */
export function assertUsableMeta(meta: TokenMeta): void {
  const pairs = Object.entries(meta);
  if (pairs.length > MAX_PAIRS) {
    throw unusable(`The meta has ${pairs.length} pairs; expected at most ${MAX_PAIRS}.`);
  }
  for (const [name, value] of pairs) {
    if (name === '' || name.includes('=') || hasControlCharacter(name)) {
      throw unusable(
        `The meta name is ${describeValue(name)}; expected text without = or control characters.`,
      );
    }
    if (typeof value !== 'string' || hasControlCharacter(value)) {
      const what = describeValue(value);
      throw unusable(
        `The meta value ${excerpt(name)} is ${what}; expected a string without control characters.`,
      );
    }
  }
  const bytes = Buffer.byteLength(formatMeta(meta));
  if (bytes > MAX_BYTES)
    throw unusable(`The meta takes ${bytes} bytes as JSON; expected at most ${MAX_BYTES}.`);
}

export function formatMeta(meta: TokenMeta): string {
  return JSON.stringify(meta);
}

/** Returns null for anything that {@link formatMeta} does not write. */
export function parseMeta(text: string): TokenMeta | null {
  try {
    const value: unknown = JSON.parse(text);
    return isMeta(value) ? value : null;
  } catch {
    return null;
  }
}

export function isMeta(value: unknown): value is TokenMeta {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((member) => typeof member === 'string');
}

/** Tells whether the meta has all of these pairs. */
export function hasMeta(meta: TokenMeta | null, pairs: TokenMeta): boolean {
  return Object.entries(pairs).every(
    ([name, value]) => meta !== null && Object.hasOwn(meta, name) && meta[name] === value,
  );
}

/**
 * Reads texts such as `device=iPhone`.
 *
 * @param refuse throws for a text without a name or `=`, and for the second text with one name
 */
export function readPairs(
  texts: readonly string[],
  refuse: { form(text: string): never; repetition(name: string): never },
): TokenMeta {
  const pairs = new Map<string, string>();
  for (const text of texts) {
    const equals = text.indexOf('=');
    if (equals < 1) return refuse.form(text);
    const name = text.slice(0, equals);
    if (pairs.has(name)) return refuse.repetition(name);
    pairs.set(name, text.slice(equals + 1));
  }
  return Object.fromEntries(pairs);
}

function unusable(message: string): JwtctlError {
  return new JwtctlError('ERR_META_INVALID', message);
}
