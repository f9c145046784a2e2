import { grouped } from './number-format.js';

/** Returns text such as `1 token`, `2 tokens`, or `2,000 entries`. */
export function pluralize(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}
