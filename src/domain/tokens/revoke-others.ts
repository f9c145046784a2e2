import { familyOf } from '../model/family.js';
import type { EventPolicy } from '../model/lifetime.js';
import type { Administration, NewSecurityEvent } from '../ports/index.js';
import { type ListedToken, listTokens } from '../registry/list-tokens.js';
import { afterRecord, eventExpiry } from '../security-log/record.js';

/** In one transaction, to keep it short. */
const MOST_EVENTS = 500;

export interface OthersOutcome {
  revoked: number;
  sessions: number;
}

/**
 * Ends every token and session of a subject except the token `except` and its session. Unlike an event for the whole
 * subject, the events name the tokens, so tokens that are not in the registry at this moment stay as they are.
 */
export async function revokeOthers(
  ports: Administration,
  policy: EventPolicy,
  { sub, except }: { sub: string; except: string },
  { reason }: { reason: string | null },
): Promise<OthersOutcome> {
  const { registry, clock } = ports;
  const now = clock.now();
  const kept = familyOf(except);
  const isOther = ({ jti }: ListedToken) => (kept === null ? jti !== except : familyOf(jti) !== kept);
  const others = (await listTokens(registry, sub, now)).filter(isOther);
  const families = [...new Set(others.flatMap(({ jti }) => familyOf(jti) ?? []))];
  const single = others.filter(({ jti }) => familyOf(jti) === null);

  const events = [
    ...families.map((jti) => ({ type: 'family_revoked', sub, jti }) as const),
    ...single.map(({ jti }) => ({ type: 'token_revoked', sub, jti }) as const),
  ];
  for (let from = 0; from < events.length; from += MOST_EVENTS)
    await record(ports, policy, events.slice(from, from + MOST_EVENTS), { sub, reason });

  return afterRecord(async () => {
    let revoked = 0;
    let sessions = 0;
    for (const family of families) {
      const removal = await registry.remove(sub, { family }, now);
      revoked += removal.removed;
      sessions += removal.families;
    }
    if (single.length > 0) {
      const { removed, failure } = await registry.removeEntries([{ sub, entries: single }], now);
      if (failure !== null) throw failure;
      revoked += removed;
    }
    return { revoked, sessions };
  });
}

function record(
  { database, clock, actor }: Administration,
  policy: EventPolicy,
  events: ReadonlyArray<Pick<NewSecurityEvent, 'type'> & { sub: string; jti: string }>,
  { sub, reason }: { sub: string; reason: string | null },
): Promise<void> {
  return database.transaction(async ({ keys, securityLog, auditLog }) => {
    const at = clock.now();
    const expiry = eventExpiry(await keys.longestTtlSeconds(), policy, at);
    for (const event of events) {
      // A token outside a session has no refresh token.
      const isSession = event.type === 'family_revoked';
      const kept = isSession ? expiry : { expiresAt: expiry.verifiersUntil };
      await securityLog.append({ ...event, reason, at, ...kept });
    }
    const rows = events.map(({ jti }) => `${sub} ${jti}`);
    await auditLog.append(
      ...rows.map((target) => ({ at, actor, action: 'token.revoke', target, outcome: 'done', reason })),
    );
  });
}
