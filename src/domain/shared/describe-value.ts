import { excerpt } from './text.js';

/** Names the type of a value that a message must not show: `a number`, `an array`, `missing`. */
export function typeName(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Adds the shortened value to the type, unless it is an object: `a number (3)`, `a string ("x")`. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `a string (${excerpt(JSON.stringify(value))})`;
    case 'number':
    case 'bigint':
    case 'boolean':
      return `${typeName(value)} (${value})`;
    default:
      return typeName(value);
  }
}

/** Describes a value of a token. Never shows a text, because messages go to logs, nor digits that parsing changed. */
export function describeClaim(value: unknown): string {
  if (typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER) return 'a number beyond 2^53';
  return typeof value === 'string' ? 'a string of another form' : describeValue(value);
}
