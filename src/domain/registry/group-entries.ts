import type { EntryName } from '../model/registry-entry.js';

/** Replaces Map.groupBy, which needs Node 21. */
export function groupBy<T, Key>(items: Iterable<T>, keyOf: (item: T) => Key): Map<Key, T[]> {
  const groups = new Map<Key, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

export interface NamedEntry {
  sub: string;
  entry: EntryName;
}

export function entriesBySubject(named: Iterable<NamedEntry>): Array<{ sub: string; entries: EntryName[] }> {
  return [...groupBy(named, ({ sub }) => sub)].map(([sub, own]) => ({
    sub,
    entries: own.map(({ entry }) => entry),
  }));
}
