import { performance } from 'node:perf_hooks';
import type { Lease } from '../../../domain/ports/index.js';
import { type BulkStrings, stringAt, stringOrNullAt } from './bulk-strings.js';
import { encodeCommands, type RespReply } from './codec.js';
import { DeadlineError, replyCode } from './errors.js';
import type { HostPort } from './node-address.js';
import type { RedisOptions } from './redis-options.js';
import { RespConnection } from './resp-connection.js';

/**
 * How long after a question that a server answered its silence still counts as news, in milliseconds. A master that hangs
 * says nothing while its replica takes over; so this bounds how long a verdict can outlive what it rests on.
 */
export const LEASE_MS = 1000;
const HEARTBEAT_MS = LEASE_MS / 4;

/** The same by the host's clock, in whole seconds of it: so less than two seconds. */
const LEASE_SECONDS = LEASE_MS / 1000;

/** Once by each of two clocks. */
export interface Moment {
  /** Of performance.now(), which stands still while the machine is suspended (CLOCK_MONOTONIC on Linux). */
  ms: number;
  /** Of the host's clock, which can be set. */
  seconds: number;
}

/** More subjects than this are not held at a time; the longest known go first. */
const MOST_HOLDS = 100_000;

/**
 * A connection to one master which tells of every change to what was read on it (CLIENT TRACKING). Answers and changes come
 * down the same stream in the order in which they happened, so no answer can be overtaken by the change that it misses.
 *
 * By default tracking a server remembers what each connection has read, and tells once: less talk than with BCAST, where
 * each write under the prefix would go to every verifier.
 */
export class TrackedConnection {
  readonly connection: RespConnection;
  readonly #holds = new Map<string, SubjectHold>();
  readonly #heartbeat: NodeJS.Timeout;
  readonly #now: () => number;
  /** When the latest question went out that was answered. */
  #heard: Moment = { ms: Number.NEGATIVE_INFINITY, seconds: 0 };
  /** When the heartbeat was sent that has not been answered yet. */
  #askedAt: number | null = null;

  /** @param now of the host's clock, in seconds */
  constructor(options: RedisOptions, node: HostPort, now: () => number, onLost: (error: Error) => void) {
    this.#now = now;
    this.connection = new RespConnection(options, node, {
      greeting: [['client', 'tracking', 'on']],
      onPush: (push) => this.#hear(push),
      onLost: (error) => {
        clearInterval(this.#heartbeat);
        this.#forgetAll();
        onLost(error);
      },
    });
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS).unref();
  }

  /** Whether the server has been heard of lately, by both clocks. @param now of the host's clock, in seconds */
  isLeased(now: number): boolean {
    const { ms, seconds } = this.#heard;
    return performance.now() < ms + LEASE_MS && Math.abs(now - seconds) <= LEASE_SECONDS;
  }

  moment(): Moment {
    return { ms: performance.now(), seconds: this.#now() };
  }

  /** @param asked when the question went out that was answered now */
  renew(asked: Moment): void {
    if (asked.ms > this.#heard.ms) this.#heard = asked;
  }

  /** For what has just been read of `key`, in the turn in which the answer came. */
  leaseOf(key: string): Lease {
    const known = this.#holds.get(key);
    if (known !== undefined) return known;
    if (this.#holds.size >= MOST_HOLDS) {
      const [oldest] = this.#holds.keys();
      if (oldest !== undefined) this.#forget(oldest);
    }
    const lease = new SubjectHold(this);
    this.#holds.set(key, lease);
    return lease;
  }

  /** `invalidate`, and the keys; null in their place is all of them. */
  #hear(push: BulkStrings): void {
    if (stringAt(push, 0) !== 'invalidate') return;
    for (let index = 1; index < push.count; index++) {
      const key = stringOrNullAt(push, index);
      if (key === null) this.#forgetAll();
      else this.#forget(key);
    }
  }

  #forget(key: string): void {
    this.#holds.get(key)?.end();
    this.#holds.delete(key);
  }

  #forgetAll(): void {
    for (const lease of this.#holds.values()) lease.end();
    this.#holds.clear();
  }

  /** Reads a key that is held: a server that no longer serves it says so, where it would go on answering PING. */
  #beat(): void {
    const asked = this.moment();
    if (this.#askedAt !== null && asked.ms - this.#askedAt > 2 * LEASE_MS) {
      this.connection.lose(new DeadlineError(2 * LEASE_MS));
      return;
    }
    const [key] = this.#holds.keys();
    if (this.#askedAt !== null || key === undefined) return;
    this.#askedAt = asked.ms;
    const take = (reply: RespReply) => {
      this.#askedAt = null;
      if (replyCode(reply) === 'NOPERM') this.connection.lose(reply as Error);
      else if (reply instanceof Error) this.#forgetAll();
      else this.renew(asked);
    };
    this.connection.write(encodeCommands([['exists', key]]), [{ take, fail() {} }]);
  }
}

class SubjectHold implements Lease {
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
