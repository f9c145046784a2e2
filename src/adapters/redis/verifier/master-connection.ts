import { performance } from 'node:perf_hooks';
import type { Lease } from '../../../domain/ports/index.js';
import { MasterState } from '../../../domain/registry/master-state.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { RedisConnection } from '../cluster/redis-connection.js';
import { stringAt } from '../wire/bulk-strings.js';
import type { Breaker } from '../wire/circuit-breaker.js';
import { silenceMs } from '../wire/client-options.js';
import { encodeCommands, type RespReply } from '../wire/codec.js';
import { parseInfo } from '../wire/info.js';
import { formatNode, type HostPort } from '../wire/node-address.js';
import { DeadlineError, fromNode, replicaError, replyCode } from '../wire/redis-errors.js';
import { RespConnection } from '../wire/resp-connection.js';
import {
  Lifetime,
  masterWarnings,
  replicaOf,
  SERVER_INFO,
  startedAt,
  TRACKING_LIMIT,
  trackingLimit,
} from '../wire/server-info.js';
import { TrackedConnection } from '../wire/tracked-connection.js';

/** One encoded command. `answer` gets the reply, or why there is none. */
export interface Request {
  text: string;
  answer(reply: RespReply, lost: Error | null): void;
}

/** How long a refusal of tracking counts. */
const UNTRACKED_MS = 60_000;

/** A server outside a cluster that becomes a replica still answers; a cluster node sends MOVED. */
const INFO_EVERY_MS = { cluster: 10_000, standalone: 1000, sentinel: 1000 };
const INFO = encodeCommands([SERVER_INFO]);
const LIMIT = encodeCommands([TRACKING_LIMIT]);

/** Bounds the memory that requests to a hung server take. The requests of one turn are sent together. */
const MOST_PENDING = 20_000;

export interface MasterConnectionOptions {
  isTracking: boolean;
  now(): number;
  onLost(): void;
  /** Called when the server refuses client tracking. The connection then works without it for a while. */
  onUntracked(reason: Error): void;
}

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
  #trackingLimit: number | null = null;
  #mayAskForLimit = true;
  #replicaOf: string | null = null;
  #startedAt: number | null = null;
  #infoAskedAt = Number.NEGATIVE_INFINITY;
  /** When to try tracking again, by performance.now(). */
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

  /** Sends requests. If the server stays silent or misses the timeout, the connection is lost. */
  ask(requests: readonly Request[], timeoutMs: number): void {
    const connection = this.#open();
    if (connection.pending >= MOST_PENDING) {
      for (const { answer } of requests) answer(null, tooMany(this.name));
      return;
    }
    const tracked = this.#tracked;
    const asked = tracked?.moment() ?? null;
    let left = requests.length;
    const stopWatching = this.#watch(connection, timeoutMs);
    const done = () => {
      left -= 1;
      if (left === 0) stopWatching();
    };
    connection.write(
      requests.map(({ text }) => text).join(''),
      requests.map(({ answer }) => ({
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

  /** When the server started, by its own clock; null without permission to use INFO. */
  get startedAt(): number | null {
    return this.#startedAt;
  }

  leaseOf(key: string): Lease | null {
    return this.#tracked?.leaseOf(key) ?? null;
  }

  untrusted(): JwtctlError | null {
    return this.#replicaOf === null ? null : replicaError(this.name, this.#replicaOf);
  }

  /** Returns the error if a missing entry may be lost, not unregistered; null if "missing" is conclusive. */
  unsettled(): JwtctlError | null {
    return this.#lifetime.isSettled ? null : hasRestarted(this.name);
  }

  refreshInfo(): void {
    if (this.#connection === null || this.#connection.isLost) return;
    const everyMs = INFO_EVERY_MS[this.#redis.mode];
    if (performance.now() - this.#infoAskedAt >= everyMs) this.#askForInfo(this.#connection);
  }

  close(): void {
    this.#connection?.lose(new Error('The connection has been closed.'));
  }

  #watch(connection: RespConnection, timeoutMs: number): () => void {
    const askedAt = performance.now();
    const longestMs = silenceMs(this.#redis.timeoutMs);
    const look = () => {
      const now = performance.now();
      const silentMs = now - Math.max(askedAt, connection.lastDataAt);
      const leftMs = Math.min(longestMs - silentMs, timeoutMs - (now - askedAt));
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
    // First, because every later reply is judged by it.
    this.#askForInfo(this.#connection);
    return this.#connection;
  }

  #askForInfo(connection: RespConnection): void {
    this.#infoAskedAt = performance.now();
    const take = (reply: RespReply) => {
      // An account without permission to use INFO works without it.
      if (reply === null || typeof reply === 'number' || reply instanceof Error) return;
      const info = parseInfo(stringAt(reply, 0));
      this.#lifetime.learn(info);
      this.#startedAt = startedAt(info);
      this.#replicaOf = this.#redis.mode === 'cluster' ? null : replicaOf(info);
      const warnings = masterWarnings(info, this.#trackingLimit);
      if (this.#isTracking && this.#tracked === null) warnings.push('not_tracking');
      this.state.warnings = warnings;
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

  /** Whether an idle connection without tracking may be replaced by one with tracking. */
  #mayTrackAgain(): boolean {
    if (!this.#isTracking || this.#tracked !== null || performance.now() < this.#untrackedUntil) return false;
    return this.#connection !== null && !this.#connection.isLost && this.#connection.pending === 0;
  }

  #lost(error: Error): void {
    // A RESP2-only proxy, a missing permission, or too many clients. A refused login is not about tracking.
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
    `The Redis master ${node} has ${MOST_PENDING} or more pending requests, so jwtctl sends no more.`,
    { hint: 'Try again in a moment, or spread the load over more processes.', details: { nodes: [node] } },
  );
}

function hasRestarted(node: string): JwtctlError {
  return new JwtctlError(
    'ERR_REDIS_RESTARTED',
    `The Redis master ${node} has just restarted and may have lost tokens that its replica still has.`,
    {
      hint: 'Try again in 30 s. By then, a replica has taken over, or the master keeps its hash slots.',
      details: { nodes: [node] },
    },
  );
}
