import type { EventPolicy } from '../model/lifetime.js';
import type { EntryFilter, EntryStore, Removal } from '../ports/index.js';
import { afterRecord } from '../security-log/record.js';
import { JwtctlError } from '../shared/errors.js';
import { ifReachable } from '../shared/unavailable.js';
import { type End, type RecordPorts, recordEnds } from './record-ends.js';

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
 * Ends tokens of several subjects, in one transaction. Without the registry, the events end them.
 * @returns why the tokens of a subject could not be ended
 */
export async function endMany(
  ports: FamilyEndPorts,
  policy: EventPolicy,
  ends: readonly SubjectEnd[],
): Promise<Map<string, JwtctlError>> {
  const failures = new Map<string, JwtctlError>();
  const fail = (failed: readonly SubjectEnd[]) => (error: unknown) => {
    if (!(error instanceof JwtctlError)) throw error;
    for (const { sub } of failed) failures.set(sub, error);
  };
  if (ends.length === 0) return failures;
  const recorded = ends.map(({ sub: _, filter: __, ...end }) => end);
  await recordEnds(ports, policy, recorded).catch(fail(ends));
  if (failures.size > 0) return failures;
  const { registry, clock } = ports;
  const removing = ends.map((end) =>
    ifReachable(() => registry.remove(end.sub, end.filter, clock.now()), null).catch(fail([end])),
  );
  await Promise.all(removing);
  return failures;
}
