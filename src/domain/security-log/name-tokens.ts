import { familyOf } from '../model/family.js';
import type { EventPolicy } from '../model/lifetime.js';
import type { AuditDetails, LongestLifetimes, Stores } from '../ports/index.js';
import { DAY_SECONDS } from '../shared/duration.js';
import { eventExpiry } from './record.js';

/** At most, in one transaction, to keep it short. */
export const MOST_NAMED = 500;

/** How far ahead of the database's clock the clock of an issuer may be. Limits how long a forged `iat` keeps a row. */
const LONGEST_LEAD_SECONDS = 7 * DAY_SECONDS;

export interface NamedToken {
  sub: string;
  jti: string;
  iat: number;
}

/** How the audit log names what ended. */
interface NamedEnd {
  target: string;
  details: AuditDetails;
}

/**
 * Records an event for each token by its name; for a token of a session, one that ends the session. Returns what the
 * events name, and the last event.
 */
export async function nameTokens(
  { securityLog }: Pick<Stores, 'securityLog'>,
  policy: EventPolicy,
  tokens: readonly NamedToken[],
  { longest, reason, at }: { longest: LongestLifetimes; reason: string | null; at: number },
): Promise<{ names: NamedEnd[]; eventId: number | null }> {
  const names = new Map<string, NamedEnd>();
  let eventId: number | null = null;
  for (const { sub, jti, iat } of tokens) {
    const family = familyOf(jti);
    const name = family ?? jti;
    if (names.has(`${sub}\n${name}`)) continue;
    const details = family === null ? { sub, jti } : { sub, session: family };
    names.set(`${sub}\n${name}`, { target: `${sub} ${name}`, details });
    const issuedAt = Math.max(at, Math.min(iat, at + LONGEST_LEAD_SECONDS));
    const expiry = eventExpiry(longest, policy, issuedAt);
    // A token outside a session has no refresh token.
    const kept = family === null ? { ...expiry, expiresAt: expiry.verifiersUntil } : expiry;
    const type = family === null ? 'token_revoked' : 'family_revoked';
    eventId = await securityLog.append({ type, sub, jti: name, reason, at, ...kept });
  }
  return { names: [...names.values()], eventId };
}
