/** Freezes all of it: whoever gets the same object later must find it as it was. */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const name in value) freeze(value[name]);
  return Object.freeze(value);
}
