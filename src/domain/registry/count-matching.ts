import { matches } from '../model/registry-entry.js';
import type { EntryFilter, GlobalRemoval, RegistryScanner, WalkOptions } from '../ports/index.js';
import type { EntriesAhead } from './entries-ahead.js';
import { scanSubjects } from './scan-subjects.js';

/** Counts the entries that {@link EntryStore.removeEverywhere} would remove. */
export async function countMatching(
  registry: RegistryScanner,
  filter: EntryFilter,
  options: WalkOptions,
  ahead?: EntriesAhead,
): Promise<GlobalRemoval> {
  const byNode = new Map<string, number>();
  const byKeyId = new Map<number, number>();
  let matched = 0;
  let subjects = 0;
  let largestIat = -1;
  const outcome = await scanSubjects(
    registry,
    () => ({ isCounted: false }),
    (parts) => {
      for (const { part, state } of parts) {
        let count = 0;
        for (const entry of part.entries) {
          if (!matches(entry, filter)) continue;
          count += 1;
          ahead?.add(part.sub, entry);
          largestIat = Math.max(largestIat, entry.iat);
          byKeyId.set(entry.keyId, (byKeyId.get(entry.keyId) ?? 0) + 1);
        }
        matched += count;
        byNode.set(part.node, (byNode.get(part.node) ?? 0) + count);
        if (count > 0 && !state.isCounted) {
          subjects += 1;
          state.isCounted = true;
        }
      }
    },
    options,
  );
  for (const { node } of outcome.nodes) byNode.set(node, byNode.get(node) ?? 0);
  return {
    matched,
    removed: 0,
    subjects,
    largestIat: largestIat < 0 ? null : largestIat,
    byNode: [...byNode].map(([node, count]) => ({ node, matched: count, removed: 0 })),
    byKeyId: [...byKeyId].map(([keyId, count]) => ({ keyId, matched: count })),
    replicasConfirmed: null,
    complete: outcome.complete,
    missed: outcome.missed,
  };
}
