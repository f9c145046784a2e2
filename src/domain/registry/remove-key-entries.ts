import type { SigningKey } from '../model/signing-key.js';
import type { Clock, EntryStore, GlobalRemoval, RegistryScanner, WalkControl } from '../ports/index.js';
import { failureText } from '../shared/errors.js';
import { countMatching } from './count-matching.js';

// An issuer that read the key earlier may register a token during the first pass.
const MAX_PASSES = 3;

export interface RemovedKeyEntries {
  before: number;
  /** Subjects with entries before the removal. */
  subjects: number;
  removed: number;
  /** Counted by a second walk after the removal; null if that walk was incomplete. */
  after: number | null;
  byNode: Array<{ node: string; before: number; removed: number; after: number | null }>;
  /** The lowest number of any master that was written to; null if nothing was written. */
  replicasConfirmed: number | null;
  complete: boolean;
  missed: string[];
}

/** Removes every entry under a key, and scans the whole registry again as proof. `dryRun` only counts. */
export async function removeKeyEntries(
  { openRegistry, clock }: { openRegistry(): Promise<EntryStore & RegistryScanner>; clock: Clock },
  key: Pick<SigningKey, 'id'>,
  { dryRun, ...control }: { dryRun: boolean } & WalkControl,
): Promise<RemovedKeyEntries> {
  const filter = { keyId: key.id };
  const options = () => ({ now: clock.now(), ...control });
  const count = () => orUnreadable(async () => countMatching(await openRegistry(), filter, options()));
  const remove = () => orUnreadable(async () => (await openRegistry()).removeEverywhere(filter, options()));
  if (dryRun) return reportOf([await count()], null);

  const removals: GlobalRemoval[] = [];
  for (;;) {
    const removal = await remove();
    removals.push(removal);
    // The registry timed out. Waiting for it again could not prove a removal.
    if (removal.isUnreadable) return reportOf(removals, removal);
    const proof = await count();
    const isSettled = proof.complete && proof.matched === 0;
    const isDown = !removal.complete && !proof.complete;
    if (isSettled || isDown || removals.length === MAX_PASSES) return reportOf(removals, proof);
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
  if (proof?.complete) for (const { node, matched } of proof.byNode) tallyOf(node).after = matched;
  const confirmed = removals.flatMap(({ replicasConfirmed }) => replicasConfirmed ?? []);
  const { complete, missed } = proof ?? (removals[0] as GlobalRemoval);
  return {
    before: sum(removals.map(({ matched }) => matched)),
    subjects: (removals[0] as GlobalRemoval).subjects,
    removed: sum(removals.map(({ removed }) => removed)),
    after: proof?.complete ? proof.matched : null,
    byNode: [...nodes.values()],
    replicasConfirmed: confirmed.length === 0 ? null : Math.min(...confirmed),
    complete,
    missed,
  };
}

async function orUnreadable(
  walk: () => Promise<GlobalRemoval>,
): Promise<GlobalRemoval & { isUnreadable: boolean }> {
  try {
    return { ...(await walk()), isUnreadable: false };
  } catch (error) {
    const missed = [`the whole registry (${failureText(error)})`];
    const nothing = { matched: 0, removed: 0, subjects: 0, largestIat: null, byNode: [], byKeyId: [] };
    return { ...nothing, replicasConfirmed: null, complete: false, missed, isUnreadable: true };
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
