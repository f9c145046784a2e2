import type { EntryStore } from '../ports/index.js';
import { entriesBySubject, type NamedEntry } from './group-entries.js';

/** Removes exactly these entries. @throws JwtctlError if some may still exist */
export async function removeNamedEntries(
  registry: EntryStore,
  named: readonly NamedEntry[],
  now: number,
): Promise<void> {
  if (named.length === 0) return;
  const { failure } = await registry.removeEntries(entriesBySubject(named), now);
  if (failure !== null) throw failure;
}
