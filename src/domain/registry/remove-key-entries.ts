import type { SigningKey } from '../model/signing-key.js';
import type { Clock, EntryStore, GlobalRemoval, RegistryScanner } from '../ports/index.js';
import { failureText } from '../shared/errors.js';
import { countMatching } from './count-matching.js';
import { type WalkControl, walkControl } from './walk-options.js';

// An issuer that had read the key before may still register what it signed while the first pass is on its way.
const MAX_PASSES = 3;

/** What was found and removed of the entries under a key, and what a later walk over the whole registry still found. */
export interface RemovedKeyEntries {
  before: number;
  removed: number;
  /** Counted by a walk of its own after the removal; null where that did not see the whole registry. */
  after: number | null;
  /** `host:port` of each master, or the file's name for SQLite. */
  byNode: Array<{ node: string; before: number; removed: number; after: number | null }>;
  /** The least over the masters that were written to; null where nothing was written. */
  replicasConfirmed: number | null;
  /** False where a part of the registry could not be seen; `missed` says which. */
  complete: boolean;
  missed: string[];
}

/** Removes every entry under a key, and proves it by scanning the whole registry again. With `dryRun` it only counts. */
export async function removeKeyEntries(
  { openRegistry, clock }: { openRegistry(): Promise<EntryStore & RegistryScanner>; clock: Clock },
  key: Pick<SigningKey, 'id'>,
  { dryRun, ...control }: { dryRun: boolean } & WalkControl,
): Promise<RemovedKeyEntries> {
  const filter = { keyId: key.id };
  const options = () => ({ now: clock.now(), ...walkControl(control) });
  const count = () => orUnseen(async () => countMatching(await openRegistry(), filter, options()));
  const remove = () => orUnseen(async () => (await openRegistry()).removeEverywhere(filter, options()));
  if (dryRun) return reportOf([await count()], null);

  const removals: GlobalRemoval[] = [];
  for (;;) {
    const removal = await remove();
    removals.push(removal);
    // The registry timed out, so do not wait for it again: no removal could be proven.
    if (removal.isUnseen) return reportOf(removals, removal);
    const proof = await count();
    const isSettled = proof.complete && proof.matched === 0;
    // What did not answer twice is away for longer than another pass takes.
    const isAway = !removal.complete && !proof.complete;
    if (isSettled || isAway || removals.length === MAX_PASSES) return reportOf(removals, proof);
  }
}

function reportOf(removals: readonly GlobalRemoval[], proof: GlobalRemoval | null): RemovedKeyEntries {
  const nodes = new Map<string, RemovedKeyEntries['byNode'][number]>();
  const tallyOf = (node: string) => {
    const tally = nodes.get(node) ?? { node, before: 0, removed: 0, after: proof?.complete ? 0 : null };
    nodes.set(node, tally);
    return tally;
  };
  for (const { byNode } of removals) {
    for (const { node, matched, removed } of byNode) {
      const tally = tallyOf(node);
      tally.before += matched;
      tally.removed += removed;
    }
  }
  // Of a walk that did not see everything no node's count is a proof.
  if (proof?.complete) for (const { node, matched } of proof.byNode) tallyOf(node).after = matched;
  const confirmed = removals.flatMap(({ replicasConfirmed }) => replicasConfirmed ?? []);
  // The last walk is what counts: it saw everything after whatever the removals had missed.
  const { complete, missed } = proof ?? (removals[0] as GlobalRemoval);
  return {
    before: sum(removals.map(({ matched }) => matched)),
    removed: sum(removals.map(({ removed }) => removed)),
    after: proof?.complete ? proof.matched : null,
    byNode: [...nodes.values()],
    replicasConfirmed: confirmed.length === 0 ? null : Math.min(...confirmed),
    complete,
    missed,
  };
}

/** A registry that is away as a whole, or cannot even be asked, is one of which nothing was seen. */
async function orUnseen(walk: () => Promise<GlobalRemoval>): Promise<GlobalRemoval & { isUnseen: boolean }> {
  try {
    return { ...(await walk()), isUnseen: false };
  } catch (error) {
    const missed = [`the whole registry (${failureText(error)})`];
    const nothing = { matched: 0, removed: 0, subjects: 0, largestIat: null, byNode: [], byKeyId: [] };
    return { ...nothing, replicasConfirmed: null, complete: false, missed, isUnseen: true };
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
