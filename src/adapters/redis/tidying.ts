import { JwtctlError } from '../../domain/errors.js';
import type { EntryName, TidyOutcome } from '../../domain/ports.js';
import { isSilence } from '../../domain/reachability.js';
import type { Answer, Request } from './batching.js';
import { entryMember } from './keyspace.js';
import { MEMBERS_PER_CALL } from './lua.js';
import { unwrap } from './pipeline.js';
import { NOT_OURS, TIDY } from './scripts.js';
import type { WholeRegistry } from './walk.js';

interface Untidy {
  sub: string;
  entries: readonly EntryName[];
}

/**
 * Runs {@link TIDY} on each of these subjects, as often as it takes. One that fails leaves the others to be done and counted.
 *
 * @param timed what every script is told of the time
 * @throws JwtctlError where all that was begun failed, and nothing was counted
 */
export async function tidy(
  { connection, batcher, keyspace }: WholeRegistry,
  subjects: readonly Untidy[],
  timed: ReadonlyArray<string | number>,
): Promise<TidyOutcome> {
  const removedByNode = new Map<string, number>();
  let removed = 0;
  let isCounted = true;

  /** @returns whether more of the subject may have expired */
  const add = (answer: Answer, slot: number): boolean => {
    const [state, count = 0, isWritten = 0, isFull = 0] = read(answer);
    if (answer.isRepeated) isCounted = false;
    if (state === NOT_OURS || isWritten === 0) return false;
    const name = answer.node?.name ?? connection.ownerName(slot) ?? '';
    removedByNode.set(name, (removedByNode.get(name) ?? 0) + count);
    removed += count;
    return isFull === 1;
  };
  const read = ({ replies }: Answer): number[] => {
    try {
      return unwrap(replies[0]) as number[];
    } catch (error) {
      throw connection.translate(error);
    }
  };
  const tidySubject = async ({ sub, entries }: Untidy): Promise<void> => {
    const { entries: set, labels, slot } = keyspace.keysOf(sub);
    const tidyOnce = async (members: readonly string[]): Promise<boolean> => {
      const request: Request = { slot, keys: [set, labels], script: TIDY, args: [...timed, ...members] };
      return add(await batcher.send(request), slot);
    };
    const members = entries.map(entryMember);
    let next = 0;
    for (let isMore = true; isMore || next < members.length; next += MEMBERS_PER_CALL) {
      isMore = await tidyOnce(members.slice(next, next + MEMBERS_PER_CALL));
    }
  };

  let isAnyDone = false;
  let failure: JwtctlError | null = null;
  /** The masters that were waited for in vain, and are not asked again: it would take as long each time. */
  const silent = new Set<string | undefined>();
  const masterOf = ({ sub }: Untidy) => connection.ownerName(keyspace.keysOf(sub).slot);
  for (let from = 0; from < subjects.length; from += SUBJECTS_AT_ONCE) {
    const portion = subjects
      .slice(from, from + SUBJECTS_AT_ONCE)
      .filter((subject) => !silent.has(masterOf(subject)));
    const masters = portion.map(masterOf);
    for (const [index, outcome] of (await Promise.allSettled(portion.map(tidySubject))).entries()) {
      if (outcome.status === 'fulfilled') {
        isAnyDone = true;
        continue;
      }
      const error: unknown = outcome.reason;
      if (!(error instanceof JwtctlError)) throw error;
      if (isSilence(error)) silent.add(masters[index]);
      failure ??= error;
    }
  }
  if (failure !== null && !isAnyDone && removed === 0) throw failure;
  return {
    removed,
    byNode: [...removedByNode].map(([node, count]) => ({ node, removed: count })),
    isCounted,
    failure,
  };
}

const SUBJECTS_AT_ONCE = 100;
