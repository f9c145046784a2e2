/** Freezes a value at every level. Not recursive, because deep nesting would overflow the stack. */
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
