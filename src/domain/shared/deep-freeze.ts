/** Freezes all of it: whoever gets the same object later must find it as it was. Not by recursion, which deep nesting ends. */
export function freeze<T>(value: T): T {
  const left: unknown[] = [value];
  while (left.length > 0) {
    const next = left.pop();
    if (typeof next !== 'object' || next === null) continue;
    Object.freeze(next);
    for (const name in next) left.push((next as Record<string, unknown>)[name]);
  }
  return value;
}
