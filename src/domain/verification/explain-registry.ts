import type { SigningKey } from '../model/signing-key.js';
import type { AuditRow, ListedEntry, SecurityEvent, SubjectLocation } from '../ports/index.js';
import { RevocationIndex } from '../security-log/revocation-index.js';

export interface ExplainedRegistry extends SubjectLocation {
  sub: string;
  jti: string;
  /** The entry with the token's `jti`, even under another key or with other times; null if there is none. */
  entry: ListedEntry | null;
  /** The events that cover the token, the newest first. */
  revocations: ExplainedEvent[];
}

export interface ExplainedEvent {
  event: SecurityEvent;
  /** Who caused it; null if the audit log does not say so any more. */
  origin: AuditRow | null;
}

export interface NamedToken {
  sub: string;
  jti: string;
  iat: number;
}

/** More events about one token are rarely useful. */
const MOST_EVENTS = 10;

/** Returns the events that cover a token, the newest first. */
export function coveringEvents(
  events: readonly SecurityEvent[],
  token: NamedToken,
  kid: string | null,
): SecurityEvent[] {
  return events
    .filter((event) => new RevocationIndex([event]).covers({ ...token, kid: kid ?? '' }))
    .reverse()
    .slice(0, MOST_EVENTS);
}

/** Returns the entry of a token, or one with its `jti` under another key or with another `iat`. */
export function entryOf(
  entries: readonly ListedEntry[],
  { jti, iat }: NamedToken,
  key: SigningKey | null,
): ListedEntry | null {
  const sameId = entries.filter((entry) => entry.jti === jti);
  return sameId.find((entry) => entry.keyId === key?.id && entry.iat === iat) ?? sameId[0] ?? null;
}
