import { performance } from 'node:perf_hooks';
import type { Lease } from '../../../domain/ports/index.js';
import { type BulkStrings, stringAt, stringOrNullAt } from './bulk-strings.js';
import { encodeCommands, type RespReply } from './codec.js';
import type { HostPort } from './node-address.js';
import { DeadlineError, replyCode } from './redis-errors.js';
import type { RedisOptions } from './redis-options.js';
import { RespConnection } from './resp-connection.js';

/** Bounds how long a status can be stale: a hung master sends nothing while its replica takes over. */
export const LEASE_MS = 1000;
const HEARTBEAT_MS = LEASE_MS / 4;

/** By the host's clock, in whole seconds: so less than two. */
const LEASE_SECONDS = LEASE_MS / 1000;

export interface Moment {
  /** By performance.now(), which stops while the machine is suspended (CLOCK_MONOTONIC on Linux). */
  ms: number;
  /** By the host's clock, which can be set. */
  seconds: number;
}

const MOST_LEASES = 100_000;

/**
 * Replies and invalidations share one stream in order, so an invalidation cannot overtake its reply. BCAST
 * would send every write under the prefix to every verifier.
 */
export class TrackedConnection {
  readonly connection: RespConnection;
  readonly #leases = new Map<string, SubjectLease>();
  readonly #heartbeat: NodeJS.Timeout;
  readonly #now: () => number;
  #lastAnswer: Moment = { ms: Number.NEGATIVE_INFINITY, seconds: 0 };
  #askedAt: number | null = null;

  constructor(options: RedisOptions, node: HostPort, now: () => number, onLost: (error: Error) => void) {
    this.#now = now;
    this.connection = new RespConnection(options, node, {
      greeting: [['client', 'tracking', 'on']],
      onPush: (push) => this.#onPush(push),
      onLost: (error) => {
        clearInterval(this.#heartbeat);
        this.#endAllLeases();
        onLost(error);
      },
    });
    this.#heartbeat = setInterval(() => this.#sendHeartbeat(), HEARTBEAT_MS).unref();
  }

  isLeased(now: number): boolean {
    const { ms, seconds } = this.#lastAnswer;
    return performance.now() < ms + LEASE_MS && Math.abs(now - seconds) <= LEASE_SECONDS;
  }

  moment(): Moment {
    return { ms: performance.now(), seconds: this.#now() };
  }

  renew(asked: Moment): void {
    if (asked.ms > this.#lastAnswer.ms) this.#lastAnswer = asked;
  }

  /** Returns the lease of `key`. Call it synchronously when the reply that read `key` arrives. */
  leaseOf(key: string): Lease {
    const known = this.#leases.get(key);
    if (known !== undefined) return known;
    if (this.#leases.size >= MOST_LEASES) {
      const [oldest] = this.#leases.keys();
      if (oldest !== undefined) this.#endLease(oldest);
    }
    const lease = new SubjectLease(this);
    this.#leases.set(key, lease);
    return lease;
  }

  /** A null key invalidates all keys. */
  #onPush(push: BulkStrings): void {
    if (stringAt(push, 0) !== 'invalidate') return;
    for (let index = 1; index < push.count; index++) {
      const key = stringOrNullAt(push, index);
      if (key === null) this.#endAllLeases();
      else this.#endLease(key);
    }
  }

  #endLease(key: string): void {
    this.#leases.get(key)?.end();
    this.#leases.delete(key);
  }

  #endAllLeases(): void {
    for (const lease of this.#leases.values()) lease.end();
    this.#leases.clear();
  }

  /** Reads a leased key: a server that no longer serves it answers with an error, which PING would not. */
  #sendHeartbeat(): void {
    const asked = this.moment();
    if (this.#askedAt !== null && asked.ms - this.#askedAt > 2 * LEASE_MS) {
      this.connection.lose(new DeadlineError(2 * LEASE_MS));
      return;
    }
    const [key] = this.#leases.keys();
    if (this.#askedAt !== null || key === undefined) return;
    this.#askedAt = asked.ms;
    const take = (reply: RespReply) => {
      this.#askedAt = null;
      if (replyCode(reply) === 'NOPERM') this.connection.lose(reply as Error);
      else if (reply instanceof Error) this.#endAllLeases();
      else this.renew(asked);
    };
    this.connection.write(encodeCommands([['exists', key]]), [{ take, fail() {} }]);
  }
}

class SubjectLease implements Lease {
  readonly #source: TrackedConnection;
  #isOver = false;

  constructor(source: TrackedConnection) {
    this.#source = source;
  }

  isValid(now: number): boolean {
    return !this.#isOver && this.#source.isLeased(now);
  }

  end(): void {
    this.#isOver = true;
  }
}
