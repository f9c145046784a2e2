import type { EntryName } from '../model/registry-entry.js';
import type { EntryStore } from '../ports/index.js';

/** Removes exactly these entries. @throws JwtctlError if some may still exist */
export async function removeNamedEntries(
  registry: EntryStore,
  subjects: ReadonlyArray<{ sub: string; entries: readonly EntryName[] }>,
  now: number,
): Promise<void> {
  const { failure } = await registry.removeEntries(subjects, now);
  if (failure !== null) throw failure;
}
