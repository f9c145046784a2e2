import type { RegistryEntry } from '../../../domain/ports/index.js';
import { lastSeenAt, type SubjectKeys, seenMember } from '../keyspace.js';
import type { RegistrySession } from '../session.js';
import { readScores } from './scores.js';

const MEMBERS_AT_ONCE = 1000;

/** Adds when each entry was last seen. */
export async function withLastSeen<Entry extends RegistryEntry>(
  session: RegistrySession,
  keys: SubjectKeys,
  entries: readonly Entry[],
): Promise<Array<Entry & { lastSeen: number | undefined }>> {
  const seen: Array<Entry & { lastSeen: number | undefined }> = [];
  for (let from = 0; from < entries.length; from += MEMBERS_AT_ONCE) {
    const portion = entries.slice(from, from + MEMBERS_AT_ONCE);
    const members = portion.map(({ jti }) => seenMember(jti));
    const scores = await readScores(session, keys, members);
    for (const [index, entry] of portion.entries())
      seen.push({ ...entry, lastSeen: lastSeenAt(scores[index]) });
  }
  return seen;
}
