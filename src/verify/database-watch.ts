import type { Clock, Database, DatabaseServer } from '../domain/ports.js';

/** The shortest time between two times that the database is dialed anew, in seconds. */
const REDIAL_SECONDS = 10;

export interface DatabaseWatchPorts {
  database: Pick<Database, 'server' | 'redial'>;
  clock: Pick<Clock, 'now'>;
  /** Told in one line what was noticed. */
  warn(text: string): void;
}

/**
 * Notices a planned switchover. Behind a proxy new connections lead to the new primary, while those that are open stay
 * with the old one, which answers reads from what it had: so it is dialed anew once the server takes no writes any more, or
 * another one answers.
 *
 * A server that has been read-only from the start may be a replica that somebody chose for verifiers.
 */
export class DatabaseWatch {
  readonly #ports: DatabaseWatchPorts;
  #server: DatabaseServer | null = null;
  /** Why it is to be dialed anew. */
  #reason: string | null = null;
  #redialedAt = Number.NEGATIVE_INFINITY;

  constructor(ports: DatabaseWatchPorts) {
    this.#ports = ports;
  }

  /** @throws what the database throws */
  async look(): Promise<void> {
    const before = this.#server;
    const found = await this.#ports.database.server();
    this.#server = found;
    if (before !== null && found !== null) this.#reason = whyRedial(before, found) ?? this.#reason;
    this.#redialIfDue();
  }

  /** Where a balancer gives each connection another server, dialing again and again would change nothing. */
  #redialIfDue(): void {
    const { database, clock, warn } = this.#ports;
    const now = clock.now();
    const since = now - this.#redialedAt;
    if (this.#reason === null || (since >= 0 && since < REDIAL_SECONDS)) return;
    database.redial();
    warn(`${this.#reason}. All connections to it are opened again.`);
    this.#redialedAt = now;
    this.#reason = null;
  }
}

function whyRedial(before: DatabaseServer, found: DatabaseServer): string | null {
  if (found.id !== before.id) return 'MySQL is another server than before';
  return found.isReadOnly && !before.isReadOnly ? 'MySQL takes no writes any more' : null;
}
