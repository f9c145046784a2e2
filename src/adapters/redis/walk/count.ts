import { matches } from '../../../domain/model/registry-entry.js';
import type { EntryFilter, GlobalRemoval } from '../../../domain/ports/index.js';
import type { WholeRegistry } from '../session.js';
import { readEverywhere, type ScanOptions } from './scan-subjects.js';

/** What {@link removeEverywhere} would remove. Reading costs the servers half of what they would take to count themselves. */
export async function countEverywhere(
  whole: WholeRegistry,
  filter: EntryFilter,
  options: ScanOptions,
): Promise<GlobalRemoval> {
  const byNode = new Map<string, number>();
  const byKeyId = new Map<number, number>();
  /** The subjects of which more parts are to come, where one has been counted. */
  const unfinished = new Set<string>();
  let matched = 0;
  let subjects = 0;
  let largestIat = -1;

  const { missed, masters } = await readEverywhere(
    whole,
    (portion) => {
      for (const { sub, node, entries, isLast } of portion) {
        let count = 0;
        for (const entry of entries) {
          if (!matches(entry, filter)) continue;
          count += 1;
          largestIat = Math.max(largestIat, entry.iat);
          byKeyId.set(entry.keyId, (byKeyId.get(entry.keyId) ?? 0) + 1);
        }
        matched += count;
        byNode.set(node, (byNode.get(node) ?? 0) + count);
        if (count > 0 && !unfinished.has(sub)) {
          subjects += 1;
          unfinished.add(sub);
        }
        if (isLast) unfinished.delete(sub);
      }
    },
    options,
  );
  for (const { node } of masters) byNode.set(node.name, byNode.get(node.name) ?? 0);
  return {
    matched,
    removed: 0,
    subjects,
    largestIat: largestIat < 0 ? null : largestIat,
    byNode: [...byNode].map(([node, count]) => ({ node, matched: count, removed: 0 })),
    byKeyId: [...byKeyId].map(([keyId, count]) => ({ keyId, matched: count })),
    replicasConfirmed: null,
    complete: missed.length === 0,
    missed,
  };
}
