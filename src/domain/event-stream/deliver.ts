import { newRandomId } from '../model/random-id.js';
import type { Clock, Database } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { eventLine } from './event.js';
import { BEGINNING, parsePosition, positionText, type StreamPosition } from './position.js';
import { type EventPage, findPosition, readEvents } from './read-events.js';

/** The consumer that gets the events on standard input. */
const CONSUMER = 'hooks.command';

/** How much longer a lease lasts than a command. */
const LEASE_MARGIN_SECONDS = 30;

export interface DeliveryPorts {
  database: Pick<Database, 'auditLog' | 'eventConsumers'>;
  clock: Pick<Clock, 'now'>;
  /** Resolves once the consumer has handled these lines of NDJSON. */
  send(lines: string): Promise<void>;
  warn(text: string): void;
}

/** The events that are not delivered yet. */
export interface Backlog {
  events: number;
  /** False if there may be more events. */
  isComplete: boolean;
  /** The time of the oldest one; null if there is none. */
  since: number | null;
  /** False if no process has delivered yet. Then there is no position, and no event counts as undelivered. */
  hasBegun: boolean;
  /** Whether a process has the lease, so it delivers or waits for events. */
  isLeased: boolean;
  /** How long a lease lasts: longer than the command can take. */
  leaseSeconds: number;
}

export interface Delivered {
  events: number;
  /** False if another process delivers. */
  isHolder: boolean;
  position: StreamPosition | null;
}

/**
 * Delivers events at least once, and in order. Of several processes, the one with the lease does it. The position is
 * stored after the consumer has handled the events, so a process that dies in between leaves them to the next one.
 */
export class EventDelivery {
  readonly #ports: DeliveryPorts;
  readonly #lease: { holder: string; seconds: number };
  #position: StreamPosition | null = null;
  #claimedAt = 0;
  #pendingSince: number | null = null;

  /** @param sendSeconds how long `send` can take */
  constructor(ports: DeliveryPorts, sendSeconds: number) {
    this.#ports = ports;
    this.#lease = { holder: newRandomId(), seconds: sendSeconds + LEASE_MARGIN_SECONDS };
  }

  /** The time of the oldest event that this process has not delivered; null if it has delivered all that it knows. */
  get pendingSince(): number | null {
    return this.#pendingSince;
  }

  /**
   * Delivers all events that are recorded. After an error, other processes can try.
   * @param signal ends it between two calls of `send`
   * @throws JwtctlError `ERR_POSITION_UNKNOWN` (state); errors of `send` and of the database
   */
  async deliver(signal?: AbortSignal): Promise<Delivered> {
    let events = 0;
    try {
      while (!signal?.aborted) {
        const position = await this.#hold();
        if (position === null) return { events, isHolder: false, position };
        const page = await this.#read(position);
        if (page === null) {
          this.#pendingSince = null;
          break;
        }
        events += await this.#pass(position, page);
      }
      return { events, isHolder: true, position: this.#position };
    } catch (error) {
      await this.release().catch(() => {});
      throw error;
    }
  }

  /**
   * Delivers from this position on.
   * @throws JwtctlError (state) `ERR_POSITION_PRUNED`, `ERR_POSITION_UNKNOWN`
   * @returns false if another process delivers
   */
  async moveTo(position: StreamPosition): Promise<boolean> {
    const found = await findPosition(this.#ports.database.auditLog, position);
    return (await this.#claim()) !== null && (await this.#advance(found));
  }

  /** Lets another process deliver at once. */
  async release(): Promise<void> {
    this.#position = null;
    await this.#ports.database.eventConsumers.release(CONSUMER, this.#lease.holder);
  }

  /**
   * Returns what there is to deliver, and changes nothing.
   * @param from default: the stored position
   * @param pages how many pages to read at most, but the oldest event is always found; default: all
   * @throws JwtctlError (state) `ERR_POSITION_PRUNED`, `ERR_POSITION_UNKNOWN`
   */
  async backlog({
    from,
    pages = Number.POSITIVE_INFINITY,
  }: {
    from?: StreamPosition | undefined;
    pages?: number;
  } = {}): Promise<Backlog> {
    const { auditLog, eventConsumers } = this.#ports.database;
    const stored = await eventConsumers.find(CONSUMER);
    const start = from ?? (stored === null ? null : parse(stored.position));
    let position = start === null ? await auditLog.head() : await findPosition(auditLog, start);
    const found = {
      ...{ hasBegun: stored !== null, isLeased: stored?.isLeased === true },
      leaseSeconds: this.#lease.seconds,
    };
    let events = 0;
    let since: number | null = null;
    for (let read = 0; ; read++) {
      const page = await readEvents(auditLog, position);
      const isComplete = page === null;
      if (isComplete || (since !== null && read >= pages)) return { ...found, events, isComplete, since };
      events += page.events.length;
      since ??= page.events[0]?.at ?? null;
      position = page.end;
    }
  }

  /** Renews the lease if a third of it has passed. */
  async #hold(): Promise<StreamPosition | null> {
    const age = this.#ports.clock.now() - this.#claimedAt;
    const isFresh = age >= 0 && age < this.#lease.seconds / 3;
    return this.#position !== null && isFresh ? this.#position : this.#claimPosition();
  }

  async #claimPosition(): Promise<StreamPosition | null> {
    const stored = await this.#claim();
    this.#position = stored === null ? null : parse(stored);
    if (stored === null) this.#pendingSince = null;
    return this.#position;
  }

  async #claim(): Promise<string | null> {
    const { database, clock } = this.#ports;
    this.#claimedAt = clock.now();
    const start = positionText(await database.auditLog.head());
    return database.eventConsumers.claim(CONSUMER, this.#lease, start);
  }

  async #read(position: StreamPosition): Promise<EventPage | null> {
    const { auditLog } = this.#ports.database;
    try {
      return await readEvents(auditLog, position);
    } catch (error) {
      if (!(error instanceof JwtctlError) || error.code !== 'ERR_POSITION_PRUNED') throw error;
      this.#ports.warn(`Events are missing: ${error.message}`);
      return readEvents(auditLog, BEGINNING);
    }
  }

  /** Returns how many events were delivered. */
  async #pass(start: StreamPosition, { events, end }: EventPage): Promise<number> {
    const [first] = events;
    if (first !== undefined) {
      this.#pendingSince = first.at;
      // The whole lease, because the consumer may take long. Another process may have had it in between.
      if ((await this.#claimPosition())?.seq !== start.seq) return 0;
      await this.#ports.send(events.map(eventLine).join(''));
    }
    await this.#advance(end);
    return events.length;
  }

  async #advance(position: StreamPosition): Promise<boolean> {
    const { eventConsumers } = this.#ports.database;
    const isHolder = await eventConsumers.advance(CONSUMER, this.#lease.holder, positionText(position));
    this.#position = isHolder ? position : null;
    return isHolder;
  }
}

function parse(stored: string): StreamPosition {
  const position = parsePosition(stored);
  if (position !== null) return position;
  throw new JwtctlError(
    'ERR_POSITION_UNKNOWN',
    'Another program changed the position in the table event_consumers.',
  );
}
