import { performance } from 'node:perf_hooks';
import type { Hold } from '../../domain/ports.js';
import type { HostPort, RedisOptions } from './client-options.js';
import { type Bulks, encodeCommands, type RespReply, stringAt, stringOrNullAt } from './resp.js';
import { RespConnection } from './resp-connection.js';

/**
 * How long after a question that a server answered its silence still counts as news, in milliseconds. A master that hangs
 * says nothing while its replica takes over; so this bounds how long a verdict can outlive what it rests on.
 */
export const LEASE_MS = 1000;
const HEARTBEAT_MS = LEASE_MS / 4;

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
  #leasedUntil = Number.NEGATIVE_INFINITY;
  /** When the heartbeat was sent that has not been answered yet. */
  #askedAt: number | null = null;

  constructor(options: RedisOptions, node: HostPort, onLost: (error: Error) => void) {
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

  /** Whether the server has been heard of lately. */
  get isLeased(): boolean {
    return performance.now() < this.#leasedUntil;
  }

  /** @param askedAt when the question went out that was answered now, as performance.now() tells it */
  renew(askedAt: number): void {
    this.#leasedUntil = Math.max(this.#leasedUntil, askedAt + LEASE_MS);
  }

  /** For what has just been read of `key`, in the turn in which the answer came. */
  holdOf(key: string): Hold {
    const known = this.#holds.get(key);
    if (known !== undefined) return known;
    if (this.#holds.size >= MOST_HOLDS) {
      const [oldest] = this.#holds.keys();
      if (oldest !== undefined) this.#forget(oldest);
    }
    const hold = new SubjectHold(this);
    this.#holds.set(key, hold);
    return hold;
  }

  /** `invalidate`, and the keys; null in their place is all of them. */
  #hear(push: Bulks): void {
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
    for (const hold of this.#holds.values()) hold.end();
    this.#holds.clear();
  }

  /** Reads a key that is held: a server that no longer serves it says so, where it would go on answering PING. */
  #beat(): void {
    const now = performance.now();
    if (this.#askedAt !== null && now - this.#askedAt > 2 * LEASE_MS) {
      this.connection.lose(new Error('The server has not answered.'));
      return;
    }
    const [key] = this.#holds.keys();
    if (this.#askedAt !== null || key === undefined) return;
    this.#askedAt = now;
    const take = (reply: RespReply) => {
      this.#askedAt = null;
      if (reply instanceof Error) this.#forgetAll();
      else this.renew(now);
    };
    this.connection.write(encodeCommands([['exists', key]]), [{ take, fail() {} }]);
  }
}

class SubjectHold implements Hold {
  readonly #source: TrackedConnection;
  #isOver = false;

  constructor(source: TrackedConnection) {
    this.#source = source;
  }

  isHeld(): boolean {
    return !this.#isOver && this.#source.isLeased;
  }

  end(): void {
    this.#isOver = true;
  }
}
