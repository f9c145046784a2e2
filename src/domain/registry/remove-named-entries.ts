import type { EntryStore } from '../ports/index.js';
import { entriesBySubject, type NamedEntry } from './group-entries.js';

/** Removes exactly these entries. Returns how many existed. @throws JwtctlError if some may still exist */
export async function removeNamedEntries(
  registry: EntryStore,
  named: readonly NamedEntry[],
  now: number,
): Promise<number> {
  if (named.length === 0) return 0;
  const { removed, failure } = await registry.removeEntries(entriesBySubject(named), now);
  if (failure !== null) throw failure;
  return removed;
}
