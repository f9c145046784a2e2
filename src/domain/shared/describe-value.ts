import { excerpt } from './text.js';

/** Names the type of a wrong value, for a message that must not show the value: `a number`, `an array`, `missing`. */
export function typeName(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Describes a wrong value by its type and, if it is no object, its shortened text: `a number (3)`, `a string ("x")`. */
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

/** Describes a wrong value of a token like {@link describeValue}, but never shows a text, because messages go to logs. */
export function describeClaim(value: unknown): string {
  return typeof value === 'string' ? 'a string of another form' : describeValue(value);
}
