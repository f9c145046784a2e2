import { grouped } from './number-format.js';

/** `1 token`, `2 tokens`, `2,000 entries`. */
export function pluralize(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}
