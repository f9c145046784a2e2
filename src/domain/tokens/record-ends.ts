import type { EventPolicy } from '../model/lifetime.js';
import type { AuditDetails, AuditEntry, Clock, Database, NewSecurityEvent } from '../ports/index.js';
import { type NamedToken, nameTokens } from '../security-log/name-tokens.js';
import { eventExpiry, findEqual } from '../security-log/record.js';

export interface RecordPorts {
  database: Pick<Database, 'transaction'>;
  clock: Pick<Clock, 'now'>;
  actor: string;
}

/** An event that ends tokens or sessions, and its row in the audit log. */
export interface End extends Pick<AuditEntry, 'action' | 'target' | 'outcome' | 'reason'> {
  event: Omit<NewSecurityEvent, 'reason' | 'at' | 'expiresAt' | 'verifiersUntil'>;
  /** Default: the actor of the ports */
  actor?: string | undefined;
}

/**
 * Records all of these, at most {@link MOST_ENDS}, in one transaction. Returns the highest ID of their
 * events.
 * @param named tokens that end with them
 * @param at the time of the events and rows; default: now
 */
export function recordEnds(
  { database, clock, actor }: RecordPorts,
  policy: EventPolicy,
  ends: readonly End[],
  named: readonly NamedToken[] = [],
  at = clock.now(),
): Promise<number> {
  return database.transaction(async ({ keys, securityLog, auditLog }) => {
    const longest = await keys.longestLifetimes();
    const reason = ends[0]?.reason ?? null;
    const { eventId: lastNamed } = await nameTokens({ securityLog }, policy, named, { longest, reason, at });
    let eventId = lastNamed ?? 0;
    const ofSubjects = ends.flatMap(({ event: { sub, jti = null } }) =>
      sub === undefined ? [] : [{ sub, jti }],
    );
    const known = ofSubjects.length === 0 ? [] : await securityLog.findNaming(ofSubjects);
    for (const { event, reason } of ends) {
      const expiry = eventExpiry(longest, policy, Math.max(at, event.issuedBefore ?? at));
      // A token outside a session has no refresh token.
      const kept = event.type === 'token_revoked' ? { expiresAt: expiry.verifiersUntil } : expiry;
      const full = { ...event, reason, at, ...kept };
      const equal = event.sub === undefined ? undefined : findEqual(known, full);
      eventId = Math.max(eventId, equal?.id ?? (await securityLog.append(full)));
    }
    const rows = ends.map(({ event, ...row }) => ({
      ...{ ...row, at, actor: row.actor ?? actor, details: detailsOf(event) },
    }));
    await auditLog.append(...rows);
    return eventId;
  });
}

function detailsOf({ type, sub, jti, kid, issuedBefore, except }: End['event']): AuditDetails {
  return { sub, ...(type === 'family_revoked' ? { session: jti } : { jti }), kid, issuedBefore, except };
}

/** Keeps a transaction short: each end takes a query. */
export const MOST_ENDS = 64;
