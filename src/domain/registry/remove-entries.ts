import type { EntryName } from '../model/registry-entry.js';
import type { EntryStore } from '../ports/index.js';

/** Removes exactly these entries, for whom a part of that is not enough. @throws JwtctlError where some of it could not be done */
export async function removeEntriesInBatches(
  registry: EntryStore,
  subjects: ReadonlyArray<{ sub: string; entries: readonly EntryName[] }>,
  now: number,
): Promise<void> {
  const { failure } = await registry.removeEntries(subjects, now);
  if (failure !== null) throw failure;
}
