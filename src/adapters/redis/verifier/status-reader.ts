import { performance } from 'node:perf_hooks';
import type {
  EntryName,
  MasterStatus,
  StatusQuery,
  StatusReader,
  StatusReaderOptions,
  StoredStatus,
} from '../../../domain/ports/index.js';
import { MasterState } from '../../../domain/registry/master-state.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { isUndelivered } from '../cluster/batcher.js';
import type { RedisConnection } from '../cluster/redis-connection.js';
import { HASH_SLOTS, STATUS_MEMBER, VERSION_MEMBER } from '../keyspace.js';
import type { RegistrySession } from '../session.js';
import { readScores, statusMembers } from '../subject/scores.js';
import { BulkStrings } from '../wire/bulk-strings.js';
import { Breaker } from '../wire/circuit-breaker.js';
import type { RespReply } from '../wire/codec.js';
import { parseKey } from '../wire/node-address.js';
import { withDeadline } from '../wire/pipeline.js';
import { recorded } from '../wire/recorded.js';
import { DeadlineError, fromNode, replyCode, UnexpectedReplyError } from '../wire/redis-errors.js';
import { MasterConnection } from './master-connection.js';
import { leasedStatus, type Pending, plainStatus, Query } from './status-query.js';
import { UseWriter } from './use-writer.js';

/** Sends one ZMSCORE per token, per master and event-loop turn. Undelivered reads go through the batcher. */
export class RedisStatusReader implements StatusReader {
  readonly #session: RegistrySession;
  readonly #connection: RedisConnection;
  readonly #options: Options;
  readonly #uses: UseWriter;
  readonly #masters = new Map<string, MasterConnection>();
  /** Masters that a warning about client tracking has named. */
  readonly #untracked = new Set<string>();
  readonly #probes = new Map<string, Query>();
  /** Refuses reads while no connection can be opened. */
  readonly #opening = new Breaker();
  readonly #openingState: MasterState;
  readonly #unserved = new Breaker();
  readonly #owners: Array<string | undefined> = [];
  #epoch = 0;
  #refreshedAt = Number.NEGATIVE_INFINITY;
  #waiting: Pending[] = [];
  #isClosed = false;

  constructor(session: RegistrySession, options: Options) {
    this.#session = session;
    this.#connection = session.connection;
    this.#options = options;
    this.#uses = new UseWriter(session, options.tolerance);
    this.#openingState = new MasterState(session.connection.address.nodes.join(', '), options.now());
  }

  async open(): Promise<number> {
    if (!this.#connection.isReady || this.#owners.length === 0) await this.#open();
    await Promise.allSettled([...this.#probes.values()].map((query) => this.#read(query)));
    return this.#epoch;
  }

  of(sub: string, entry: EntryName): StatusQuery {
    const keys = this.#session.keyspace.keysOf(sub);
    const query = new Query(keys, statusMembers(entry, false), this.#options.recordsUse ? entry.jti : null);
    return { read: (withLastSeen = true) => this.#read(withLastSeen ? query.withLastSeen() : query) };
  }

  touch(sub: string, entry: EntryName, now: number, replaces?: number): Promise<void> {
    return this.#uses.write(sub, { entry, now, replaces });
  }

  probe(): void {
    if (this.#isClosed) return;
    if (!this.#connection.isReady) {
      void this.#open().catch(() => {});
      return;
    }
    if (this.#owners.length === 0) this.#noteOwners();
    const now = this.#options.now();
    // Another user of the connection may have opened it.
    if (!this.#openingState.isUp) this.#openingState.answered(now);
    for (const [key, master] of this.#masters) {
      const query = this.#probes.get(key);
      const { answeredAt, isUp } = master.state;
      const isFresh = isUp && answeredAt !== null && Math.abs(now - answeredAt) < PROBE_SECONDS;
      // The master's state records the result.
      if (!isFresh && query !== undefined) this.#read(query).catch(() => {});
      master.refreshInfo();
    }
  }

  masters(): MasterStatus[] {
    if (this.#masters.size === 0 || !this.#openingState.isUp) return [this.#openingState.status()];
    return [...this.#masters.values()].map(({ state }) => state.status());
  }

  close(): void {
    this.#isClosed = true;
    for (const master of this.#masters.values()) master.close();
    this.#masters.clear();
  }

  #query(sub: string, members: readonly string[]): Query {
    return new Query(this.#session.keyspace.keysOf(sub), members);
  }

  #read(query: Query): Promise<StoredStatus> {
    const { recordCall } = this.#connection.options;
    const status = this.#status(query);
    return recordCall === undefined ? status : recorded(status, 'zmscore', recordCall);
  }

  #status(query: Query): Promise<StoredStatus> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#flush(this.#waiting));
      this.#waiting.push({ query, resolve, reject });
    });
  }

  async #flush(batch: readonly Pending[]): Promise<void> {
    this.#waiting = [];
    try {
      if (!this.#connection.isReady) await this.#open();
      this.#distribute(batch);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  #distribute(batch: readonly Pending[]): void {
    if (this.#owners.length === 0) this.#noteOwners();
    const ownerKey = this.#connection.ownerKeys();
    const groups = new Map<string, Pending[]>();
    const deadline = performance.now() + this.#connection.timeoutMs;
    for (const pending of batch) {
      const { slot } = pending.query.keys;
      const key = ownerKey(slot);
      if (key !== undefined && this.#owners[slot] !== key) this.#noteOwners();
      const group = key && groups.get(key);
      if (key === undefined) this.#askAnyMaster(pending, deadline);
      else if (group) group.push(pending);
      else groups.set(key, [pending]);
    }
    for (const [key, members] of groups) this.#ask(this.#masterAt(key), members, deadline);
  }

  async #open(): Promise<void> {
    const opening = async () => {
      try {
        await this.#connection.ready();
      } catch (error) {
        this.#openingState.failed(error, this.#options.now());
        throw error;
      }
      this.#openingState.answered(this.#options.now());
      this.#noteOwners();
    };
    const refusal = this.#opening.refusal(opening);
    if (refusal !== null) throw refusal;
    try {
      await opening();
    } catch (error) {
      this.#opening.failed(error as Error);
      throw error;
    }
  }

  /** Updates all slots at once, because a failover moves thousands of them in one change. */
  #noteOwners(): void {
    if (this.#isClosed) return;
    const ownerKey = this.#connection.ownerKeys();
    for (let slot = 0; slot < HASH_SLOTS; slot++) this.#owners[slot] = ownerKey(slot) ?? this.#owners[slot];
    this.#epoch += 1;
    const owners = new Set(this.#owners.filter((key) => key !== undefined));
    this.#closeIdleMasters(owners);
    for (const key of owners) this.#masterAt(key);
    this.#chooseProbes(owners);
  }

  /** Closes the connections to masters without slots, which nothing else would close. */
  #closeIdleMasters(owners: ReadonlySet<string>): void {
    for (const [key, master] of this.#masters) {
      if (owners.has(key)) continue;
      this.#masters.delete(key);
      master.close();
    }
  }

  #chooseProbes(owners: ReadonlySet<string>): void {
    this.#probes.clear();
    for (let number = 0; number < MOST_PROBES_TRIED && this.#probes.size < owners.size; number++) {
      const query = this.#query(`probe-${number}`, PROBED);
      const owner = this.#owners[query.keys.slot];
      if (owner !== undefined && !this.#probes.has(owner)) this.#probes.set(owner, query);
    }
  }

  #ask(master: MasterConnection, members: readonly Pending[], deadline: number, isRepeated = false): void {
    const { breaker } = master;
    const first = members[0]?.query.keys;
    if (first === undefined) return;
    const refusal = breaker.refusal(() => this.#connection.tryAgain(first.entries, first.slot));
    if (refusal !== null) {
      // Another connection may have opened the breaker, so record the failure here too.
      for (const pending of members) this.#refuse(pending, master, refusal);
      this.#refreshSlots();
      return;
    }
    const unanswered: Pending[] = [];
    const askOnceMore = (pending: Pending) => {
      if (unanswered.push(pending) === 1) setImmediate(() => this.#ask(master, unanswered, deadline, true));
    };
    const requests = members.map((pending) => ({
      text: pending.query.text,
      answer: (reply: RespReply, lost: Error | null) => {
        // The request was never sent, so it says nothing about the server.
        if (lost instanceof JwtctlError && lost.code === 'ERR_REDIS_OVERLOADED') pending.reject(lost);
        else if (lost !== null && breaker.failure !== null) this.#refuse(pending, master, breaker.failure);
        // The network path may be dead, not the server. A new connection finds out.
        else if (lost instanceof DeadlineError && !isRepeated && performance.now() < deadline)
          askOnceMore(pending);
        else if (lost !== null || isUndelivered(reply))
          void this.#resend(pending, { master, breaker, deadline }, lost ?? reply);
        else {
          breaker.succeeded();
          this.#settle(pending, master, reply);
        }
      },
    }));
    const now = performance.now();
    if (now < deadline) {
      master.ask(requests, deadline - now);
      return;
    }
    const timedOut = new DeadlineError(this.#connection.timeoutMs);
    for (const pending of members) void this.#resend(pending, { master, breaker, deadline }, timedOut);
  }

  #askAnyMaster(pending: Pending, deadline: number): void {
    const { entries, slot } = pending.query.keys;
    const refusal = this.#unserved.refusal(() => this.#connection.tryAgain(entries, slot));
    if (refusal === null) {
      void this.#resend(pending, { master: null, breaker: this.#unserved, deadline }, null);
    } else {
      pending.reject(refusal);
      this.#refreshSlots();
    }
  }

  /** Refreshes the slots, because a hung master does not say that its replica took over. */
  #refreshSlots(): void {
    const now = performance.now();
    if (now < this.#refreshedAt + REFRESH_EVERY_MS) return;
    this.#refreshedAt = now;
    this.#connection.refresh().catch(() => {});
  }

  #refuse({ reject }: Pending, master: MasterConnection, failure: unknown): void {
    master.state.failed(failure, this.#options.now());
    reject(failure);
  }

  #settle(pending: Pending, master: MasterConnection, reply: RespReply): void {
    const { query, resolve, reject } = pending;
    const refuse = (error: unknown) => this.#refuse(pending, master, this.#connection.translate(error));
    const untrusted = master.untrusted();
    if (untrusted !== null) {
      refuse(untrusted);
      // Sentinels know which server took over.
      this.#refreshSlots();
      return;
    }
    const isForeign = replyCode(reply) === 'WRONGTYPE';
    if (reply instanceof Error && !isForeign) {
      refuse(Object.assign(reply, { command: { name: 'zmscore' } }));
      return;
    }
    const stored = isForeign ? plainStatus([], this.#epoch) : this.#statusIn(reply, master, query);
    if (stored === null) {
      refuse(fromNode(new UnexpectedReplyError(), master.name));
      return;
    }
    master.state.answered(this.#options.now());
    const unsettled = stored.exp === null ? master.unsettled() : null;
    if (unsettled === null) resolve(stored);
    else reject(unsettled);
  }

  #statusIn(reply: RespReply, master: MasterConnection, query: Query): StoredStatus | null {
    return reply instanceof BulkStrings ? leasedStatus(reply, master, query, this.#epoch) : null;
  }

  async #resend(pending: Pending, { master, breaker, deadline }: Route, why: RespReply): Promise<void> {
    const { query, resolve, reject } = pending;
    try {
      if (performance.now() >= deadline) throw why;
      const remainingMs = Math.max(0, deadline - performance.now());
      const scores = await withDeadline(readScores(this.#session, query.keys, query.members), remainingMs);
      breaker.succeeded();
      master?.state.answered(this.#options.now());
      const stored = plainStatus(scores, this.#epoch + 1);
      // A moving slot loses nothing, so the epoch stays.
      if (MIGRATING.has(replyCode(why) ?? '')) return resolve(plainStatus(scores, this.#epoch));
      this.#epoch += 1;
      const owner = this.#connection.ownerKeys()(query.keys.slot);
      // The server may have restarted and lost entries or uses. Only the master's own connection can tell.
      const isCertain = stored.exp !== null && stored.lastSeen === undefined;
      if (isCertain || pending.isRead || owner === undefined) return resolve(stored);
      this.#ask(this.#masterAt(owner), [{ ...pending, isRead: true }], deadline);
    } catch (error) {
      const failure = this.#connection.translate(fromNode(error, master?.name));
      master?.state.failed(failure, this.#options.now());
      breaker.failed(failure as Error);
      reject(failure);
      this.#refreshSlots();
    }
  }

  /** Warns once per master that its verdicts are not cached, so each verification asks it. */
  #warnUntracked(name: string, reason: Error): void {
    if (this.#untracked.has(name)) return;
    this.#untracked.add(name);
    const why =
      replyCode(reason) === 'NOPERM'
        ? 'the ACL lacks +client|tracking or +exists'
        : `it replied ${replyCode(reason)}`;
    this.#options.warn?.(`The near cache is off for the master ${name}: ${why}.`);
  }

  #masterAt(key: string): MasterConnection {
    const known = this.#masters.get(key);
    if (known !== undefined) return known;
    const master = new MasterConnection(this.#connection, parseKey(key), {
      isTracking: this.#options.nearCache,
      now: this.#options.now,
      onUntracked: (reason) => this.#warnUntracked(key, reason),
      onLost: () => {
        this.#epoch += 1;
        this.#refreshSlots();
      },
    });
    this.#masters.set(key, master);
    return master;
  }
}

interface Options extends StatusReaderOptions {
  tolerance: number;
  /** Whether the registry stores when each token was last seen. */
  recordsUse: boolean;
}

const PROBED = [STATUS_MEMBER, STATUS_MEMBER, VERSION_MEMBER];
const REFRESH_EVERY_MS = 250;
/** A master that answered within this time is not probed, in seconds. */
const PROBE_SECONDS = 1;
/** A master with very few slots may get no probe. Then only requests update its state. */
const MOST_PROBES_TRIED = 10_000;
const MIGRATING = new Set(['ASK', 'TRYAGAIN']);

interface Route {
  master: MasterConnection | null;
  breaker: Breaker;
  deadline: number;
}
