import { performance } from 'node:perf_hooks';
import type { Lease } from '../../../domain/ports/index.js';
import { MasterState } from '../../../domain/registry/master-state.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { RedisConnection } from '../cluster/redis-connection.js';
import { stringAt } from '../wire/bulk-strings.js';
import type { Breaker } from '../wire/circuit-breaker.js';
import { silenceMs } from '../wire/client-options.js';
import { encodeCommands, type RespReply } from '../wire/codec.js';
import { DeadlineError, fromNode, replicaError, replyCode } from '../wire/errors.js';
import { parseInfo } from '../wire/info.js';
import { formatNode, type HostPort } from '../wire/node-address.js';
import { RespConnection } from '../wire/resp-connection.js';
import {
  Lifetime,
  masterWarnings,
  replicaOf,
  SERVER_INFO,
  TRACKING_LIMIT,
  trackingLimit,
} from '../wire/server-info.js';
import { TrackedConnection } from '../wire/tracked-connection.js';

/** One command, and who hears of it: the reply, or why there is none. */
export interface Question {
  text: string;
  answer(reply: RespReply, lost: Error | null): void;
}

/** How long a server that refused to tell of changes is asked each time, in milliseconds. */
const UNTRACKED_MS = 60_000;

/**
 * How often to ask a server for INFO, in milliseconds. A single server is asked more often: if it becomes a replica, it
 * still answers on its open connections, whereas a node of a cluster answers MOVED.
 */
const INFO_EVERY_MS = { cluster: 10_000, standalone: 1000 };
const INFO = encodeCommands([SERVER_INFO]);
const LIMIT = encodeCommands([TRACKING_LIMIT]);

/**
 * With so many on their way nothing more is asked: a server that hangs would fill the memory before it is given up. What
 * came in one turn goes out session, for whoever asks holds it anyway.
 */
const MOST_PENDING = 20_000;

export interface MasterConnectionOptions {
  /** Whether the server shall tell of changes to what was read. */
  isTracking: boolean;
  /** Of the host's clock, in seconds: see {@link TrackedConnection}. */
  now(): number;
  /** The connection was lost; the next question opens another one. */
  onLost(): void;
  /** Called when the server refuses client tracking. The connection then works without tracking for a while. */
  onUntracked(reason: Error): void;
}

/** The connection to one master, reopened when it is lost, and the state of that master. */
export class MasterConnection {
  readonly breaker: Breaker;
  readonly state: MasterState;
  readonly #redis: RedisConnection;
  readonly #node: HostPort;
  readonly #onLost: () => void;
  readonly #onUntracked: (reason: Error) => void;
  readonly #isTracking: boolean;
  readonly #now: () => number;
  readonly #lifetime: Lifetime;
  /** The server's limit of tracked keys; null if this account may not read it. */
  #trackingLimit: number | null = null;
  #mayAskForLimit = true;
  /** The master of this server if it is a replica; null if it is a master. */
  #replicaOf: string | null = null;
  #informedAt = Number.NEGATIVE_INFINITY;
  /** Until then the server is not asked to tell of changes, by performance.now(). */
  #untrackedUntil = Number.NEGATIVE_INFINITY;
  #tracked: TrackedConnection | null = null;
  #connection: RespConnection | null = null;

  constructor(
    redis: RedisConnection,
    node: HostPort,
    { isTracking, now, onLost, onUntracked }: MasterConnectionOptions,
  ) {
    const name = formatNode(node);
    this.breaker = redis.breaker(name);
    this.state = new MasterState(name, now());
    this.#redis = redis;
    this.#node = node;
    this.#isTracking = isTracking;
    this.#lifetime = new Lifetime(now);
    this.#now = now;
    this.#onLost = onLost;
    this.#onUntracked = onUntracked;
  }

  get name(): string {
    return this.state.node;
  }

  /** Sends questions. If the server stays silent or misses the timeout, the connection is lost. */
  ask(questions: readonly Question[], timeoutMs: number): void {
    const connection = this.#open();
    if (connection.pending >= MOST_PENDING) {
      for (const { answer } of questions) answer(null, tooMany(this.name));
      return;
    }
    const tracked = this.#tracked;
    const asked = tracked?.moment() ?? null;
    let left = questions.length;
    const stopWatching = this.#watch(connection, timeoutMs);
    const done = () => {
      left -= 1;
      if (left === 0) stopWatching();
    };
    connection.write(
      questions.map(({ text }) => text).join(''),
      questions.map(({ answer }) => ({
        take: (reply: RespReply) => {
          if (asked !== null) tracked?.renew(asked);
          done();
          answer(reply instanceof Error ? fromNode(reply, this.name) : reply, null);
        },
        fail: (error: Error) => {
          done();
          answer(null, fromNode(error, this.name));
        },
      })),
    );
  }

  /** Null where the server does not tell of changes. */
  leaseOf(key: string): Lease | null {
    return this.#tracked?.leaseOf(key) ?? null;
  }

  /** Returns the error if this server's answers cannot be trusted; null if they can. */
  unfit(): JwtctlError | null {
    return this.#replicaOf === null ? null : replicaError(this.name, this.#replicaOf);
  }

  /** Returns the error if a missing entry may be lost instead of never registered; null if a missing entry is conclusive. */
  unsettled(): JwtctlError | null {
    return this.#lifetime.isSettled ? null : hasRestarted(this.name);
  }

  /** Asks the server for INFO if that is due. */
  inform(): void {
    if (this.#connection === null || this.#connection.isLost) return;
    const everyMs = INFO_EVERY_MS[this.#redis.mode];
    if (performance.now() - this.#informedAt >= everyMs) this.#askForInfo(this.#connection);
  }

  close(): void {
    this.#connection?.lose(new Error('The connection has been closed.'));
  }

  #watch(connection: RespConnection, timeoutMs: number): () => void {
    const askedAt = performance.now();
    const longestMs = silenceMs(this.#redis.timeoutMs);
    const look = () => {
      const now = performance.now();
      const quietMs = now - Math.max(askedAt, connection.lastDataAt);
      const leftMs = Math.min(longestMs - quietMs, timeoutMs - (now - askedAt));
      if (leftMs <= 0) connection.lose(new DeadlineError(Math.round(now - askedAt)));
      else timer = setTimeout(look, leftMs);
    };
    let timer = setTimeout(look, Math.min(longestMs, timeoutMs));
    return () => clearTimeout(timer);
  }

  #open(): RespConnection {
    if (this.#mayTrackAgain()) this.close();
    if (this.#connection !== null && !this.#connection.isLost) return this.#connection;
    const { options } = this.#redis;
    if (this.#isTracking && performance.now() >= this.#untrackedUntil) {
      this.#tracked = new TrackedConnection(options, this.#node, this.#now, (error) => this.#lost(error));
      this.#connection = this.#tracked.connection;
    } else {
      this.#tracked = null;
      this.#connection = new RespConnection(options, this.#node, { onLost: this.#onLost });
    }
    // Before anything else, because every answer is judged by it.
    this.#askForInfo(this.#connection);
    return this.#connection;
  }

  #askForInfo(connection: RespConnection): void {
    this.#informedAt = performance.now();
    const take = (reply: RespReply) => {
      // An account without the right to use INFO works without it.
      if (reply === null || typeof reply === 'number' || reply instanceof Error) return;
      const info = parseInfo(stringAt(reply, 0));
      this.#lifetime.learn(info);
      this.#replicaOf = this.#redis.mode === 'standalone' ? replicaOf(info) : null;
      this.state.warnings = masterWarnings(info, {
        wantsTracking: this.#isTracking,
        isTracking: this.#tracked !== null,
        trackingLimit: this.#trackingLimit,
      });
    };
    if (this.#tracked !== null && this.#mayAskForLimit) this.#askForLimit(connection);
    connection.write(INFO, [{ take, fail() {} }]);
  }

  #askForLimit(connection: RespConnection): void {
    const take = (reply: RespReply) => {
      // Each refusal adds an entry to the server's ACL log, so ask only once.
      if (reply instanceof Error) this.#mayAskForLimit = false;
      else if (reply !== null && typeof reply !== 'number') this.#trackingLimit = trackingLimit(reply);
    };
    connection.write(LIMIT, [{ take, fail() {} }]);
  }

  /** Whether a connection that does not tell of changes has served its time, and nobody waits for it. */
  #mayTrackAgain(): boolean {
    if (!this.#isTracking || this.#tracked !== null || performance.now() < this.#untrackedUntil) return false;
    return this.#connection !== null && !this.#connection.isLost && this.#connection.pending === 0;
  }

  #lost(error: Error): void {
    // A RESP2-only proxy, an ACL without CLIENT TRACKING, or too many clients at the moment. A refused login does not count.
    const code = replyCode(error);
    if (code !== null && code !== 'WRONGPASS' && code !== 'NOAUTH') {
      this.#untrackedUntil = performance.now() + UNTRACKED_MS;
      this.#onUntracked(error);
    }
    this.#onLost();
  }
}

function tooMany(node: string): JwtctlError {
  return new JwtctlError(
    'ERR_REDIS_OVERLOADED',
    `The Redis master ${node} has ${MOST_PENDING} or more pending requests and gets no new ones.`,
    { hint: 'Try again in a moment, or spread the load over more processes.', details: { nodes: [node] } },
  );
}

function hasRestarted(node: string): JwtctlError {
  return new JwtctlError(
    'ERR_REDIS_RESTARTED',
    `The Redis master ${node} has just restarted and may have lost tokens that its replica still has.`,
    {
      hint: 'Try again in 30 s. By then a replica has taken over, or the master keeps its hash slots.',
      details: { nodes: [node] },
    },
  );
}
