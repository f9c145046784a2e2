import { performance } from 'node:perf_hooks';
import { JwtctlError } from '../../domain/errors.js';
import type { Hold } from '../../domain/ports.js';
import { Circuit } from './circuit.js';
import type { RedisConnection, RedisNode } from './connect.js';
import { DeadlineError, replyCode } from './errors.js';
import type { RespReply } from './resp.js';
import { RespConnection } from './resp-connection.js';
import { TrackedConnection } from './tracking.js';

/** One command, and who hears of it: the reply, or why there is none. */
export interface Question {
  text: string;
  answer(reply: RespReply, lost: Error | null): void;
}

/** How long a server that refused to tell of changes is asked each time, in milliseconds. */
const UNTRACKED_MS = 60_000;

/**
 * With so many on their way nothing more is asked: a server that hangs would fill the memory before it is given up. What
 * came in one turn goes out whole, for whoever asks holds it anyway.
 */
const MOST_PENDING = 20_000;

export interface LaneOptions {
  /** Whether the server shall tell of changes to what was read. */
  isTracking: boolean;
  /** Of the host's clock, in seconds: see {@link TrackedConnection}. */
  now(): number;
  /** The connection was lost; the next question opens another one. */
  onLost(): void;
}

/** The way to one master: its connection, opened again when it was lost, and whether it is worth asking. */
export class Lane {
  readonly circuit = new Circuit();
  readonly #redis: RedisConnection;
  readonly #node: RedisNode;
  readonly #onLost: () => void;
  readonly #isTracking: boolean;
  readonly #now: () => number;
  /** Until then the server is not asked to tell of changes, by performance.now(). */
  #untrackedUntil = Number.NEGATIVE_INFINITY;
  #tracked: TrackedConnection | null = null;
  #connection: RespConnection | null = null;

  constructor(redis: RedisConnection, node: RedisNode, { isTracking, now, onLost }: LaneOptions) {
    this.#redis = redis;
    this.#node = node;
    this.#isTracking = isTracking;
    this.#now = now;
    this.#onLost = onLost;
  }

  ask(questions: readonly Question[], timeoutMs: number): void {
    const connection = this.#open();
    if (connection.pending >= MOST_PENDING) {
      for (const { answer } of questions) answer(null, tooMany());
      return;
    }
    const tracked = this.#tracked;
    const asked = tracked?.moment() ?? null;
    let left = questions.length;
    const timer = setTimeout(() => {
      connection.lose(new DeadlineError(timeoutMs));
    }, timeoutMs);
    const done = () => {
      left -= 1;
      if (left === 0) clearTimeout(timer);
    };
    connection.write(
      questions.map(({ text }) => text).join(''),
      questions.map(({ answer }) => ({
        take: (reply: RespReply) => {
          if (asked !== null) tracked?.renew(asked);
          done();
          answer(reply, null);
        },
        fail: (error: Error) => {
          done();
          answer(null, error);
        },
      })),
    );
  }

  /** Null where the server does not tell of changes. */
  holdOf(key: string): Hold | null {
    return this.#tracked?.holdOf(key) ?? null;
  }

  close(): void {
    this.#connection?.lose(new Error('The connection has been closed.'));
  }

  #open(): RespConnection {
    if (this.#mayTrackAgain()) this.close();
    if (this.#connection !== null && !this.#connection.isLost) return this.#connection;
    const { host = '', port = 0 } = this.#node.client.options;
    const { options } = this.#redis;
    if (this.#isTracking && performance.now() >= this.#untrackedUntil) {
      this.#tracked = new TrackedConnection(options, { host, port }, this.#now, (error) => this.#lost(error));
      this.#connection = this.#tracked.connection;
    } else {
      this.#tracked = null;
      this.#connection = new RespConnection(options, { host, port }, { onLost: this.#onLost });
    }
    return this.#connection;
  }

  /** Whether a connection that does not tell of changes has served its time, and nobody waits for it. */
  #mayTrackAgain(): boolean {
    if (!this.#isTracking || this.#tracked !== null || performance.now() < this.#untrackedUntil) return false;
    return this.#connection !== null && !this.#connection.isLost && this.#connection.pending === 0;
  }

  #lost(error: Error): void {
    // A proxy that speaks RESP2 only, an ACL without CLIENT TRACKING, or too many clients just now.
    if (replyCode(error) !== null) this.#untrackedUntil = performance.now() + UNTRACKED_MS;
    this.#onLost();
  }
}

function tooMany(): JwtctlError {
  return new JwtctlError(
    'unavailable',
    'ERR_REDIS_BUSY',
    `A master has ${MOST_PENDING} questions or more to answer and is asked no more.`,
    { hint: 'Try again in a moment, or spread the load over more processes.' },
  );
}
