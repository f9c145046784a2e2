import type { Clock, LogProgress, SecurityEvent, SecurityLog } from '../domain/ports/index.js';
import { RevocationIndex } from '../domain/security-log/revocation-index.js';
import { SingleFlight } from './single-flight.js';

/** How long a transaction may take to commit after it got its id. */
const GAP_SECONDS = 60;
const MAX_CLOCK_SKEW_SECONDS = 60;
const RELOAD_SECONDS = 60;
/** An event that stays valid for this long must be there at the next reload. */
const OUTLIVES_SECONDS = 2 * RELOAD_SECONDS;
const RELOAD_SHARE = 20;
const PAGE = 5_000;
const MAX_GAPS = 100;

/**
 * Follows the security log. Commits may be in a different order than ids, so each read begins after the last
 * id below which nothing is missing.
 *
 * A failover or a restored backup may lose the last events and reuse their ids. So each read also checks the
 * last known event. If another event has its id, no known event is forgotten until the missing ones appear or
 * until {@link startAnew}.
 */
export class SecurityLogTail {
  readonly #log: Pick<SecurityLog, 'listAfter'>;
  readonly #clock: Clock;
  readonly #onEvent: (event: SecurityEvent) => void;
  /** One read at a time, because reloads share the index of token names. */
  readonly #reads = new SingleFlight();
  #events = new RevocationIndex();
  #settled = 0;
  #anchor: SecurityEvent | null = null;
  readonly #ahead = new Map<number, { event: SecurityEvent; seenAt: number }>();
  #position = 0;
  #reloads = 0;
  #readAt: number | null = null;
  #progress: LogProgress = { position: 0, missing: [] };
  #reloadAt = 0;
  readonly #missing = new Map<number, SecurityEvent>();
  #lasting: SecurityEvent | null = null;
  #keepsAll = false;
  #startsAnew = false;

  /** @param onEvent called with each event, and with all of them again at each reload */
  constructor(
    log: Pick<SecurityLog, 'listAfter'>,
    clock: Clock,
    onEvent: (event: SecurityEvent) => void = () => {},
  ) {
    this.#log = log;
    this.#clock = clock;
    this.#onEvent = onEvent;
  }

  get events(): RevocationIndex {
    return this.#events;
  }

  get isBehind(): boolean {
    return this.#missing.size > 0;
  }

  /** Keeps all known events while the log may lack some. */
  keepAll(keepsAll: boolean): void {
    this.#keepsAll = keepsAll;
  }

  startAnew(): void {
    this.#startsAnew = true;
    this.#missing.clear();
    this.#lasting = null;
  }

  /** Changes whenever {@link events} may have changed. */
  get revision(): number {
    // A reload resets the revision of the index, so it must count more than all additions to one index.
    return this.#reloads * 2 ** 32 + this.#events.revision;
  }

  get progress(): LogProgress {
    return this.#progress;
  }

  get readAt(): number | null {
    return this.#readAt;
  }

  /** Resolves after a read that began after this call. `signal` ends it after the current page. */
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
    const oldest = gaps.slice(0, -MAX_GAPS);
    const [first, final] = [oldest[0], oldest.at(-1)];
    if (first === undefined || final === undefined) return gaps;
    return [[first[0], final[1]], ...gaps.slice(-MAX_GAPS)];
  }

  /** Adds new events to `next` too. Returns false if the log lacks known events. */
  async #readNew(at: number, signal: AbortSignal | undefined, next?: RevocationIndex): Promise<boolean> {
    // An expired event may have been deleted.
    let anchor = this.#anchor !== null && this.#anchor.expiresAt > at ? this.#anchor : null;
    const expected = next === undefined ? this.#expected(at) : new Map<number, SecurityEvent>();
    for await (const events of this.#pages(anchor === null ? this.#settled : anchor.id - 1, signal)) {
      if (anchor !== null) {
        if (!isSame(events[0], anchor)) return false;
        anchor = null;
      }
      for (const event of events) {
        removeSame(expected, event);
        removeSame(this.#missing, event);
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
        removeSame(expected, event);
        removeSame(this.#missing, event);
        const until = event.verifiersUntil ?? event.expiresAt;
        if (until < at) continue;
        if (until >= at + OUTLIVES_SECONDS) lasting = event;
        before.add(event);
        fresh.add(event);
        // Skips old gaps at once.
        this.#see(event, isFirst ? Math.min(at, event.at + MAX_CLOCK_SKEW_SECONDS) : at);
      }
      this.#settle(at);
      if (isFirst || events.length < PAGE) continue;
      await this.#readNew(this.#clock.now(), signal, fresh);
    }
    // A restored database has lower ids.
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

  #forgetBeyond(last: number): void {
    for (const id of this.#ahead.keys()) if (id > last) this.#ahead.delete(id);
    this.#position = Math.min(this.#position, last);
  }

  async *#pages(afterId: number, signal: AbortSignal | undefined): AsyncGenerator<SecurityEvent[]> {
    for (let from = afterId; ; ) {
      const events = await this.#log.listAfter(from, PAGE);
      if (events.length === PAGE) signal?.throwIfAborted();
      if (events.length > 0) yield events;
      if (events.length < PAGE) return;
      from = events.at(-1)?.id ?? from;
    }
  }

  #see(event: SecurityEvent, seenAt: number): void {
    const { id } = event;
    this.#onEvent(event);
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

function removeSame(expected: Map<number, SecurityEvent>, event: SecurityEvent): void {
  const known = expected.get(event.id);
  if (known !== undefined && isSame(event, known)) expected.delete(event.id);
}

function isSame(found: SecurityEvent | undefined, event: SecurityEvent): boolean {
  const { id, type, sub, jti, kid, at } = event;
  if (found?.id !== id || found.type !== type || found.at !== at) return false;
  return found.sub === sub && found.jti === jti && found.kid === kid;
}
