import type { EntryName, RemovalOutcome } from '../../../domain/ports/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { isSilence } from '../../../domain/shared/unavailable.js';
import type { Answer } from '../cluster/batcher.js';
import type { Args } from '../cluster/script.js';
import { entryMember, type SubjectKeys } from '../keyspace.js';
import { MEMBERS_PER_CALL, REMOVE_ENTRIES, WRONG_TYPE } from '../scripts/index.js';
import type { RegistrySession } from '../session.js';
import { outcomeIn } from '../wire/reply-shapes.js';

interface SubjectEntries {
  sub: string;
  entries: readonly EntryName[];
}

/** A subject that fails does not stop the others. Throws only if all of them fail. */
export async function removeEntries(
  session: RegistrySession,
  subjects: readonly SubjectEntries[],
  timed: Args,
): Promise<RemovalOutcome> {
  const { connection, keyspace } = session;
  const removedByNode = new Map<string, number>();
  let removed = 0;
  let isCounted = true;

  const removeOne = ({ sub, entries }: SubjectEntries): Promise<void> => {
    const keys = keyspace.keysOf(sub);
    return removeMembers(session, keys, entries.map(entryMember), timed, (count, { node, isRepeated }) => {
      if (isRepeated) isCounted = false;
      const name = node?.name ?? connection.ownerName(keys.slot) ?? '';
      removedByNode.set(name, (removedByNode.get(name) ?? 0) + count);
      removed += count;
    });
  };

  let isAnyDone = false;
  let failure: JwtctlError | null = null;
  /** Masters that timed out. Asking one again would take another timeout. */
  const silent = new Set<string | undefined>();
  const masterOf = ({ sub }: SubjectEntries) => connection.ownerName(keyspace.keysOf(sub).slot);
  for (let from = 0; from < subjects.length; from += SUBJECTS_AT_ONCE) {
    const portion = subjects
      .slice(from, from + SUBJECTS_AT_ONCE)
      .filter((subject) => !silent.has(masterOf(subject)));
    const masters = portion.map(masterOf);
    for (const [index, outcome] of (await Promise.allSettled(portion.map(removeOne))).entries()) {
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

async function removeMembers(
  session: RegistrySession,
  { entries: set, meta, slot }: SubjectKeys,
  members: readonly string[],
  timed: Args,
  count: (removed: number, answer: Answer) => void,
): Promise<void> {
  let isMore = true;
  for (let next = 0; isMore || next < members.length; next += MEMBERS_PER_CALL) {
    const args = [...timed, ...members.slice(next, next + MEMBERS_PER_CALL)];
    const answer = await session.batcher.send({ slot, keys: [set, meta], script: REMOVE_ENTRIES, args });
    const [state, ...counts] = session.connection.unwrap(answer.replies[0], outcomeIn);
    // Another program's key, which has no entries.
    if (state === WRONG_TYPE) return;
    const [removed = 0, isFull = 0] = counts.map(Number);
    if (removed > 0 || answer.isRepeated) count(removed, answer);
    isMore = isFull === 1;
  }
}
