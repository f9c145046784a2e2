/** Those of each subject, in their order. */
export function groupBySubject<T extends { sub: string | null }>(items: Iterable<T>): Map<T['sub'], T[]> {
  const groups = new Map<T['sub'], T[]>();
  for (const item of items) {
    const group = groups.get(item.sub);
    if (group === undefined) groups.set(item.sub, [item]);
    else group.push(item);
  }
  return groups;
}
