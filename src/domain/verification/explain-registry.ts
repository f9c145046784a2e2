import type { SigningKey } from '../model/signing-key.js';
import type {
  AuditRow,
  Database,
  ListedEntry,
  SecurityEvent,
  SubjectLocation,
  TokenRegistry,
} from '../ports/index.js';
import { RevocationIndex } from '../security-log/revocation-index.js';
import { findOrigin } from './event-origin.js';

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

interface NamedToken {
  sub: string;
  jti: string;
  kid: string | null;
  iat: number;
  key: SigningKey | null;
}

export async function explainRegistry(
  {
    database: { securityLog, auditLog },
    registry,
  }: {
    database: Pick<Database, 'securityLog' | 'auditLog'>;
    registry: Pick<TokenRegistry, 'list' | 'locate'>;
  },
  { sub, jti, kid, iat, key }: NamedToken,
  now: number,
): Promise<ExplainedRegistry> {
  const [location, entries, events] = await Promise.all([
    registry.locate(sub),
    registry.list(sub, now),
    kid === null ? securityLog.findNaming([{ sub, jti }]) : securityLog.findConcerning({ sub, jti, kid }),
  ]);
  const sameId = entries.filter((entry) => entry.jti === jti);
  const exact = sameId.find((entry) => entry.keyId === key?.id && entry.iat === iat);
  const token = { sub, jti, kid: kid ?? '', iat };
  const covering = events.filter((event) => new RevocationIndex([event]).covers(token)).reverse();
  const revocations: ExplainedEvent[] = [];
  for (const event of covering.slice(0, MOST_EVENTS))
    revocations.push({ event, origin: await findOrigin(auditLog, event) });
  return { ...location, sub, jti, entry: exact ?? sameId[0] ?? null, revocations };
}

/** Each asks the audit log. */
const MOST_EVENTS = 10;
