import type { SecurityEvent, SecurityLog } from './ports.js';
import { covers } from './standing.js';

/** What the security log says of these tokens. */
export async function readEvents(
  log: SecurityLog,
  tokens: ReadonlyArray<{ sub: string; jti: string }>,
): Promise<EventIndex> {
  const [own, wide] = await Promise.all([log.findConcerningSubjects(tokens), log.findWide()]);
  return new EventIndex([...own, ...wide]);
}

/** Events by what they name, so that many tokens and many revoked ones are no product of the two. */
export class EventIndex {
  /** Those that name no subject. */
  readonly #wide: SecurityEvent[] = [];
  /** Those that name no token. */
  readonly #bySubject = new Map<string, SecurityEvent[]>();
  readonly #byJti = new Map<string, SecurityEvent[]>();

  constructor(events: Iterable<SecurityEvent>) {
    for (const event of events) {
      if (event.jti !== null) add(this.#byJti, event.jti, event);
      else if (event.sub !== null) add(this.#bySubject, event.sub, event);
      else this.#wide.push(event);
    }
  }

  /** Whether one of them ends this token. */
  covers(token: { sub: string; jti: string; kid: string; iat: number }): boolean {
    const ends = (event: SecurityEvent) => covers(event, token);
    return (
      this.#wide.some(ends) ||
      (this.#bySubject.get(token.sub)?.some(ends) ?? false) ||
      (this.#byJti.get(token.jti)?.some(ends) ?? false)
    );
  }
}

function add(events: Map<string, SecurityEvent[]>, name: string, event: SecurityEvent): void {
  const known = events.get(name);
  if (known === undefined) events.set(name, [event]);
  else known.push(event);
}
