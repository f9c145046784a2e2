import type { Clock, LogProgress, SecurityEvent, SecurityLog } from '../domain/ports/index.js';
import { RevocationIndex } from '../domain/security-log/revocation-index.js';
import { SingleFlight } from './single-flight.js';

/** How long a missing id may still turn up, in seconds: a transaction that took an id may commit after later ones. */
const GAP_SECONDS = 60;
/** How far behind the clock of whoever wrote an event may be, in seconds. */
const CLOCKS_APART_SECONDS = 60;
/** How often everything is read anew, in seconds: for what was missed all the same, and so that what has expired goes. */
const RELOAD_SECONDS = 60;
/** How long an event must still be valid to prove at the next reload that the log is complete, in seconds. */
const OUTLIVES_SECONDS = 2 * RELOAD_SECONDS;
/** A reload that takes long comes more seldom, so that it stays a small part of the database's work. */
const RELOAD_SHARE = 20;
const PAGE = 5_000;
/** More gaps than these are told as if the oldest of them were one. */
const MOST_GAPS = 100;

/**
 * What the security log says, followed as it grows.
 *
 * Events become visible in the order in which their transactions commit, which is not the order of their ids. So each
 * read begins behind the last id below which nothing is missing; a gap is given up once it is so old that whoever took
 * the id must have ended, and whatever comes even later is found by the next reload.
 *
 * A database that took over or was restored from a backup may lack the last events and reuse their ids. So each read begins
 * with the last known event. If a different event has its id, the whole log is read again, and no known event is forgotten
 * until the missing events appear (a lagging replica) or until {@link startAnew}.
 */
export class SecurityLogTail {
  readonly #log: Pick<SecurityLog, 'listAfter'>;
  readonly #clock: Clock;
  /** One at a time: a reload drops what it has not met itself, from names that all reloads share. */
  readonly #reads = new SingleFlight();
  #events = new RevocationIndex();
  /** Nothing is missing up to here. */
  #settled = 0;
  /** What stands at {@link #settled}; null where that is not known, or nothing does. */
  #anchor: SecurityEvent | null = null;
  /** Events beyond that, by their ids, with when each was first seen. */
  readonly #ahead = new Map<number, { event: SecurityEvent; seenAt: number }>();
  #position = 0;
  #reloads = 0;
  #readAt: number | null = null;
  #progress: LogProgress = { position: 0, missing: [] };
  #reloadAt = 0;
  /** Known events that the log no longer has. */
  readonly #missing = new Map<number, SecurityEvent>();
  /** The last event that was valid long past the last reload. Later events may expire before it does. */
  #lasting: SecurityEvent | null = null;
  #keepsAll = false;
  #startsAnew = false;

  constructor(log: Pick<SecurityLog, 'listAfter'>, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  get events(): RevocationIndex {
    return this.#events;
  }

  /** Whether the log lacks events that were read and have not expired. */
  get isBehind(): boolean {
    return this.#missing.size > 0;
  }

  /** Sets whether to keep all known events, because the log may lack some. */
  keepAll(keepsAll: boolean): void {
    this.#keepsAll = keepsAll;
  }

  /** Makes the next read start at the beginning and forget events that the log does not have. */
  startAnew(): void {
    this.#startsAnew = true;
    this.#missing.clear();
    this.#lasting = null;
  }

  /** Another number whenever {@link events} may say something else. */
  get revision(): number {
    // A reload begins with what is there, so one more of them is more than all additions to one memory.
    return this.#reloads * 2 ** 32 + this.#events.revision;
  }

  /** What the last whole read had come to. A gap that was given up is none any more. */
  get progress(): LogProgress {
    return this.#progress;
  }

  /** When the last read began; null before the first. */
  get readAt(): number | null {
    return this.#readAt;
  }

  /**
   * Reads what is new, and now and then everything. Resolves once a read has ended that began from now on.
   *
   * @param signal ends the read with the page that is on its way
   * @throws what the log throws, and the signal's reason
   */
  read(signal?: AbortSignal): Promise<void> {
    return this.#reads.next(() => this.#readOnce(signal));
  }

  async #readOnce(signal: AbortSignal | undefined): Promise<void> {
    const at = this.#clock.now();
    if (this.#startsAnew) this.#forget();
    const isDue = this.#readAt === null || at >= this.#reloadAt || at < this.#readAt;
    if (isDue || !(await this.#readNew(at, signal))) await this.#reload(at, signal);
    this.#readAt = at;
    this.#progress = { position: this.#position, missing: this.#gaps() };
  }

  #forget(): void {
    this.#startsAnew = false;
    this.#reloadAt = 0;
    this.#beginAt(null);
  }

  #gaps(): LogProgress['missing'] {
    const gaps: LogProgress['missing'] = [];
    let last = this.#settled;
    for (const id of [...this.#ahead.keys()].sort((a, b) => a - b)) {
      if (id > last + 1) gaps.push([last + 1, id - 1]);
      last = id;
    }
    const oldest = gaps.slice(0, -MOST_GAPS);
    const [first, final] = [oldest[0], oldest.at(-1)];
    if (first === undefined || final === undefined) return gaps;
    return [[first[0], final[1]], ...gaps.slice(-MOST_GAPS)];
  }

  /**
   * @param next that takes the place of {@link events} soon
   * @returns false where the log is not the one that was read before
   */
  async #readNew(at: number, signal: AbortSignal | undefined, next?: RevocationIndex): Promise<boolean> {
    // What has expired may be gone.
    let anchor = this.#anchor !== null && this.#anchor.expiresAt > at ? this.#anchor : null;
    const expected = next === undefined ? this.#expected(at) : new Map<number, SecurityEvent>();
    for await (const events of this.#pages(anchor === null ? this.#settled : anchor.id - 1, signal)) {
      if (anchor !== null) {
        if (!isSame(events[0], anchor)) return false;
        anchor = null;
      }
      for (const event of events) {
        meet(expected, event);
        meet(this.#missing, event);
        this.#see(event, at);
        next?.add(event);
        this.#events.add(event);
      }
    }
    if (expected.size > 0) return false;
    this.#settle(at);
    return true;
  }

  async #reload(at: number, signal: AbortSignal | undefined): Promise<void> {
    const before = this.#events;
    const fresh = before.renewed();
    const isFirst = this.#readAt === null;
    const expected = this.#expected(at, this.#lasting);
    let last: SecurityEvent | null = null;
    let lasting: SecurityEvent | null = null;
    this.#anchor = null;
    for await (const events of this.#pages(0, signal)) {
      last = events.at(-1) ?? last;
      for (const event of events) {
        meet(expected, event);
        meet(this.#missing, event);
        if (event.expiresAt < at) continue;
        if (event.expiresAt >= at + OUTLIVES_SECONDS) lasting = event;
        before.add(event);
        fresh.add(event);
        // What was there before this began is about as old as its writer says; of what came later this clock alone decides.
        this.#see(event, isFirst ? Math.min(at, event.at + CLOCKS_APART_SECONDS) : at);
      }
      this.#settle(at);
      // What comes meanwhile must not wait for the end of it.
      if (isFirst || events.length < PAGE) continue;
      await this.#readNew(this.#clock.now(), signal, fresh);
    }
    // A database that was restored counts from an earlier id on.
    if (last === null || last.id < this.#settled) this.#beginAt(last);
    this.#forgetBeyond(last?.id ?? 0);
    for (const [id, event] of expected) this.#missing.set(id, event);
    this.#lasting = lasting;
    if (!this.isBehind && !this.#keepsAll) {
      await fresh.forgetOthers();
      this.#events = fresh;
    }
    this.#reloads += 1;
    this.#reloadAt = at + Math.max(RELOAD_SECONDS, RELOAD_SHARE * (this.#clock.now() - at));
  }

  /** Returns the known events that have not expired, which the log must still have. */
  #expected(at: number, lasting: SecurityEvent | null = null): Map<number, SecurityEvent> {
    const events = [
      ...[lasting, this.#anchor].flatMap((one) => one ?? []),
      ...[...this.#ahead.values()].map(({ event }) => event),
    ];
    return new Map(events.filter(({ expiresAt }) => expiresAt > at).map((event) => [event.id, event]));
  }

  #beginAt(last: SecurityEvent | null): void {
    this.#ahead.clear();
    this.#anchor = last;
    this.#settled = last?.id ?? 0;
    this.#position = this.#settled;
  }

  /** What is not there any more: another event will have its id. */
  #forgetBeyond(last: number): void {
    for (const id of this.#ahead.keys()) if (id > last) this.#ahead.delete(id);
    this.#position = Math.min(this.#position, last);
  }

  async *#pages(afterId: number, signal: AbortSignal | undefined): AsyncGenerator<SecurityEvent[]> {
    for (let from = afterId; ; ) {
      const events = await this.#log.listAfter(from, PAGE);
      // The last page is as good as read.
      if (events.length === PAGE) signal?.throwIfAborted();
      if (events.length > 0) yield events;
      if (events.length < PAGE) return;
      from = events.at(-1)?.id ?? from;
    }
  }

  #see(event: SecurityEvent, seenAt: number): void {
    const { id } = event;
    this.#position = Math.max(this.#position, id);
    if (id === this.#settled) this.#anchor = event;
    const known = this.#ahead.get(id);
    if (id > this.#settled) this.#ahead.set(id, { event, seenAt: known?.seenAt ?? seenAt });
  }

  #settle(at: number): void {
    for (const id of [...this.#ahead.keys()].sort((a, b) => a - b)) {
      const isNext = id === this.#settled + 1;
      const { event = null, seenAt = at } = this.#ahead.get(id) ?? {};
      if (!isNext && at - seenAt <= GAP_SECONDS) return;
      this.#settled = id;
      this.#anchor = event;
      this.#ahead.delete(id);
    }
  }
}

function meet(expected: Map<number, SecurityEvent>, event: SecurityEvent): void {
  const known = expected.get(event.id);
  if (known !== undefined && isSame(event, known)) expected.delete(event.id);
}

function isSame(found: SecurityEvent | undefined, event: SecurityEvent): boolean {
  const { id, type, sub, jti, kid, at } = event;
  if (found?.id !== id || found.type !== type || found.at !== at) return false;
  return found.sub === sub && found.jti === jti && found.kid === kid;
}
