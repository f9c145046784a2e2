import type { EventPolicy } from '../model/lifetime.js';
import type { EntryFilter, EntryStore, Removal } from '../ports/index.js';
import { afterRecord } from '../security-log/record.js';
import { JwtctlError } from '../shared/errors.js';
import { type End, MOST_ENDS, type RecordPorts, recordEnds } from './record-ends.js';

export interface FamilyEndPorts extends RecordPorts {
  registry: Pick<EntryStore, 'remove'>;
}

interface FamilyEnd extends Omit<End, 'event' | 'target'> {
  sub: string;
  family: string;
}

/** Ends a session: its refresh token and all of its access tokens. Records the event first. */
export async function endFamily(
  ports: FamilyEndPorts,
  policy: EventPolicy,
  end: FamilyEnd,
): Promise<Removal & { eventId: number }> {
  const { sub, filter, ...recorded } = familyEnd(end);
  const eventId = await recordEnds(ports, policy, [recorded]);
  return {
    ...(await afterRecord(() => ports.registry.remove(sub, filter, ports.clock.now()))),
    eventId,
  };
}

/** The end of some or all tokens of a subject. */
export interface SubjectEnd extends End {
  sub: string;
  /** What it removes from the registry. */
  filter: EntryFilter;
}

export function familyEnd({ sub, family, ...row }: FamilyEnd): SubjectEnd {
  const event = { type: 'family_revoked', sub, jti: family } as const;
  return { ...row, sub, event, target: `${sub} ${family}`, filter: { families: [family] } };
}

/**
 * Ends tokens of several subjects, each under a key that the caller chooses. The events end them, so it does not matter
 * if the registry fails.
 * @returns by key, why tokens could not be ended
 */
export async function endMany<Key>(
  ports: FamilyEndPorts,
  policy: EventPolicy,
  ends: ReadonlyMap<Key, SubjectEnd>,
): Promise<Map<Key, JwtctlError>> {
  const failures = new Map<Key, JwtctlError>();
  const all = [...ends];
  // Not awaited in turn, because each may take as long as the timeout if the registry hangs.
  const removals: Array<Promise<unknown>> = [];
  for (let from = 0; from < all.length; from += MOST_ENDS) {
    const portion = all.slice(from, from + MOST_ENDS);
    const recorded = portion.map(([, { sub: _, filter: __, ...end }]) => end);
    const failure = await failureOf(recordEnds(ports, policy, recorded));
    if (failure !== null) for (const [key] of portion) failures.set(key, failure);
    else removals.push(...portion.map(([, end]) => failureOf(remove(ports, end))));
  }
  await Promise.all(removals);
  return failures;
}

function remove({ registry, clock }: FamilyEndPorts, { sub, filter }: SubjectEnd): Promise<Removal> {
  return registry.remove(sub, filter, clock.now());
}

/** Rethrows anything that is not a JwtctlError, because it is a defect. */
async function failureOf(work: Promise<unknown>): Promise<JwtctlError | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (error instanceof JwtctlError) return error;
    throw error;
  }
}
