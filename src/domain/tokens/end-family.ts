import type { EventPolicy } from '../model/lifetime.js';
import type { Clock, Database, EntryStore, Removal } from '../ports/index.js';
import { afterRecord, appendOnce, eventExpiry } from '../security-log/record.js';
import { ifReachable } from '../shared/unavailable.js';

export interface FamilyEndPorts {
  database: Pick<Database, 'transaction'>;
  registry: Pick<EntryStore, 'remove'>;
  clock: Pick<Clock, 'now'>;
  actor: string;
}

interface FamilyEnd {
  sub: string;
  family: string;
  action: string;
  outcome: string;
  reason: string | null;
}

/** Ends a session: its refresh token and all of its access tokens. Records the event first. */
export async function endFamily(
  ports: FamilyEndPorts,
  policy: EventPolicy,
  end: FamilyEnd,
): Promise<Removal & { eventId: number }> {
  const eventId = await recordEnd(ports, policy, end);
  return { ...(await afterRecord(() => removeFamily(ports, end))), eventId };
}

/** Ends a session whose refresh token was used again. Without the registry, the event ends it. */
export async function endReusedFamily(
  ports: FamilyEndPorts,
  policy: EventPolicy,
  session: { sub: string; family: string },
): Promise<void> {
  const reason = 'A refresh token was used again.';
  await recordEnd(ports, policy, { ...session, action: 'token.refresh', outcome: 'reused', reason });
  await ifReachable(() => removeFamily(ports, session), null);
}

function recordEnd(
  { database, clock, actor }: FamilyEndPorts,
  policy: EventPolicy,
  { sub, family, action, outcome, reason }: FamilyEnd,
): Promise<number> {
  return database.transaction(async ({ keys, securityLog, auditLog }) => {
    const at = clock.now();
    const expiry = eventExpiry(await keys.longestLifetimes(), policy, at);
    const event = { type: 'family_revoked', sub, jti: family, reason, at, ...expiry } as const;
    const eventId = await appendOnce(securityLog, event);
    await auditLog.append({ at, actor, action, target: `${sub} ${family}`, outcome, reason });
    return eventId;
  });
}

function removeFamily(
  { registry, clock }: FamilyEndPorts,
  { sub, family }: { sub: string; family: string },
): Promise<Removal> {
  return registry.remove(sub, { family }, clock.now());
}
