import { once } from 'node:events';
import { Cluster, Redis } from 'ioredis';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { Breaker } from '../wire/circuit-breaker.js';
import { DISCONNECT_TIMEOUT_MS, reachedAt } from '../wire/client-options.js';
import {
  clusterDown,
  fromNode,
  hasCode,
  innermost,
  isVague,
  type RedisAddress,
  reasonOf,
  translateError,
} from '../wire/errors.js';
import { formatNode, type HostPort, parseKey } from '../wire/node-address.js';
import { type Command, withDeadline } from '../wire/pipeline.js';
import { ReadConnection } from '../wire/read-connection.js';
import type { RedisOptions } from '../wire/redis-options.js';
import { openCluster, openStandalone } from './open.js';

export type { RedisOptions } from '../wire/redis-options.js';

/** One server, with the connection that is open to it. */
export interface RedisNode {
  /** `host:port`. */
  name: string;
  client: Redis;
  /** Whether it was a master when the slots were last asked for. */
  isMaster: boolean;
}

/** Promises a connection that opens with the first use, and opens anew where all of it was lost. */
export function connectRedis(options: RedisOptions): RedisConnection {
  return new RedisConnection(options);
}

/**
 * A Redis Cluster, or one Redis server, behind the same methods.
 *
 * Opening throws a JwtctlError: see {@link translateError}, and `ERR_REDIS_MODE_MISMATCH`
 * (usage) where the servers are not what `mode` says. Nothing waits for much longer than `timeoutMs`.
 */
export class RedisConnection {
  readonly mode: 'cluster' | 'standalone';
  readonly isTls: boolean;
  readonly timeoutMs: number;
  readonly address: RedisAddress;
  readonly options: RedisOptions;
  readonly #confirming = new Map<Redis, Redis>();
  /** By the server's name. */
  readonly #reading = new Map<string, ReadConnection>();
  readonly #nodeErrors = new Map<string, unknown>();
  /** One circuit breaker per server name, shared by all connections to the server. */
  readonly #breakers = new Map<string, Breaker>();
  /** Keeps callers from waiting for a cluster that could not be opened. */
  readonly #opener = new Breaker();
  #losses = 0;
  #client: Cluster | Redis | null = null;
  #opening: Promise<void> | null = null;
  #isClosed = false;

  constructor(options: RedisOptions) {
    this.options = { ...options, onDialed: (node, error) => this.#noteDialed(node, error) };
    this.mode = options.mode;
    this.isTls = options.isTls === true;
    this.timeoutMs = options.timeoutMs;
    const nodes = options.mode === 'standalone' ? options.nodes.slice(0, 1) : options.nodes;
    this.address = { nodes: nodes.map(formatNode), mode: options.mode, username: options.username };
  }

  get isReady(): boolean {
    return this.#client !== null;
  }

  /** How many connections to nodes of the cluster have been given up so far. */
  get losses(): number {
    return this.#losses;
  }

  /** Opens what is not open. */
  ready(): Promise<void> {
    if (this.#client !== null) return Promise.resolve();
    const refusal = this.#isClosed ? null : this.#opener.refusal(() => this.#openOnce());
    return refusal === null ? this.#openOnce() : Promise.reject(refusal);
  }

  #openOnce(): Promise<void> {
    const begunAt = Date.now();
    this.#opening ??= this.#open()
      .catch((error) => {
        // The next caller must not wait as long again.
        if (Date.now() - begunAt >= this.timeoutMs / 2) this.#opener.failed(error);
        throw error;
      })
      .finally(() => {
        this.#opening = null;
      });
    return this.#opening;
  }

  /** Which master serves a slot, as of now; undefined where none is known or the connection to it is lost. */
  owners(): (slot: number) => RedisNode | undefined {
    const client = this.#client;
    if (client === null) return () => undefined;
    if (client instanceof Redis) {
      const node = toNode(client, true);
      return () => node;
    }
    const byKey = new Map(client.nodes('all').map((redis) => [keyOf(redis), toNode(redis, true)]));
    return (slot) => {
      const key = client.slots[slot]?.[0];
      return key === undefined ? undefined : byKey.get(key);
    };
  }

  /** Returns the last known master of each slot, connected or not, as ioredis names it: see {@link parseKey}. */
  ownerKeys(): (slot: number) => string | undefined {
    const client = this.#client;
    if (client instanceof Cluster) return (slot) => client.slots[slot]?.[0];
    const [node] = this.options.nodes;
    const key = node && `${node.host}:${node.port}`;
    return () => key;
  }

  /** Returns the circuit breaker of a server, by the server's name. */
  breaker(name: string): Breaker {
    const known = this.#breakers.get(name);
    if (known !== undefined) return known;
    const fresh = new Breaker();
    this.#breakers.set(name, fresh);
    return fresh;
  }

  /**
   * Finds the master that now serves a key's slot, and sends it a command.
   *
   * @throws JwtctlError if no server answers
   */
  async tryAgain(key: string, slot: number): Promise<void> {
    const name = this.ownerName(slot);
    try {
      await this.refresh();
      await this.follow(['exists', key], this.timeoutMs, name);
    } catch (error) {
      throw this.translate(fromNode(error, name));
    }
  }

  /** The name of the master that was last known to serve a slot, connected or not. */
  ownerName(slot: number): string | undefined {
    if (this.#client === null || this.#client instanceof Redis) return this.address.nodes[0];
    const key = this.#client.slots[slot]?.[0];
    return key === undefined ? undefined : formatNode(parseKey(key));
  }

  /** Every server that there is a connection to, replicas too. */
  nodes(): RedisNode[] {
    if (this.#client === null) return [];
    if (this.#client instanceof Redis) return [toNode(this.#client, true)];
    const masters = new Set(this.#client.nodes('master'));
    return this.#client.nodes('all').map((redis) => toNode(redis, masters.has(redis)));
  }

  /** The name under which {@link nodes} knows the server that the cluster announces as `announced`. */
  nameOf(announced: HostPort): string {
    return formatNode(reachedAt(this.options, announced));
  }

  /** A second connection to the same server, for commands that may hold up what is sent after them (WAIT). */
  confirming(node: RedisNode): Redis {
    const known = this.#confirming.get(node.client);
    if (known !== undefined) return known;
    const client = node.client.duplicate({ retryStrategy: () => null, lazyConnect: true });
    client.on('error', ignore);
    client.once('end', () => this.#confirming.delete(node.client));
    this.#confirming.set(node.client, client);
    return client;
  }

  /** A connection to the same server for reading very much of it. Once it is lost the next call gives another one. */
  reading(node: RedisNode): ReadConnection {
    const known = this.#reading.get(node.name);
    if (known !== undefined && !known.isLost) return known;
    const { host = '', port = 0 } = node.client.options;
    const fresh = new ReadConnection(this.options, { host, port });
    this.#reading.set(node.name, fresh);
    return fresh;
  }

  /**
   * Sends one command to the master that now serves its key. Follows MOVED and ASK, and waits for a failover for a while.
   *
   * @param master the last known master, for the error
   * @throws what ioredis throws, or a JwtctlError
   */
  async follow([name, ...args]: Command, timeoutMs: number, master?: string): Promise<unknown> {
    await this.ready();
    const client = this.#client;
    if (client === null) throw new Error('The connection was lost at once.');
    try {
      return await withDeadline(client.call(name, ...args), timeoutMs);
    } catch (error) {
      // "Too many redirections" and "Connection is closed" have no code. While other nodes answer, it is a failover.
      if (hasCode(error) || !(client instanceof Cluster)) throw error;
      const reason = innermost(error);
      if (reason instanceof JwtctlError) throw reason;
      if (!client.nodes('all').some(({ status }) => status === 'ready')) throw error;
      const where = this.address.nodes.join(', ');
      const address = master === undefined ? this.address : { ...this.address, nodes: [master] };
      throw clusterDown(
        master === undefined
          ? `A master of the Redis Cluster at ${where} does not answer.`
          : `The Redis Cluster master ${master} does not answer.`,
        address,
        error,
      );
    }
  }

  /** Asks the cluster anew who serves which slot. Where nobody answers, what was known stays. */
  async refresh(): Promise<void> {
    const client = this.#client;
    if (client === null || client instanceof Redis) return this.ready();
    const refreshed = new Promise<void>((resolve) => client.refreshSlotsCache(() => resolve()));
    await withDeadline(refreshed, this.timeoutMs).catch(ignore);
  }

  /** Prefers the reason why no connection could be opened, because ioredis's own errors say little. */
  translate(error: unknown): unknown {
    return translateError(isVague(error) ? (this.refusal ?? error) : error, this.address);
  }

  /** A lasting reason why no connection can be opened, such as a bad certificate or an unreadable file; null if there is none. */
  get refusal(): JwtctlError | null {
    return [...this.#nodeErrors.values()].find((error) => error instanceof JwtctlError) ?? null;
  }

  /** For people: why this server did not answer. */
  reasonFor(name: string, error: unknown): string {
    // A pipeline learns no more than "Connection is closed".
    return reasonOf(hasCode(error) ? error : (this.#nodeErrors.get(name) ?? error));
  }

  /** Explains to a person why the last attempt to connect to this server failed; null if it did not. */
  dialFailure(name: string): string | null {
    const error = this.#nodeErrors.get(name);
    return error === undefined ? null : reasonOf(error);
  }

  /** Closes every connection; nothing keeps the process alive afterwards. May be called at any time, and again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const client of this.#confirming.values()) client.disconnect();
    for (const connection of this.#reading.values()) connection.close();
    const client = this.#client;
    this.#client = null;
    if (client === null) return this.#opening?.catch(ignore);
    // Not QUIT, which would wait for a server that hangs.
    client.disconnect();
    await withDeadline(once(client, 'end'), 4 * DISCONNECT_TIMEOUT_MS).catch(ignore);
  }

  async #open(): Promise<void> {
    if (this.#isClosed) {
      throw new JwtctlError('ERR_CLOSED', 'The connection to Redis has been closed.');
    }
    const client =
      this.mode === 'cluster'
        ? await openCluster(this.options, this.address, (error, key) => {
            if (hasCode(error)) this.#nodeErrors.set(formatNode(parseKey(key)), error);
          })
        : await openStandalone(this.options, this.address);
    if (this.#isClosed) return client.disconnect();
    this.#client = client;
    client.on('-node', () => {
      this.#losses += 1;
    });
    this.options.compareClock?.(async () => Number(((await client.call('time')) as unknown[])[0]));
    client.once('end', () => {
      if (this.#client === client) this.#client = null;
    });
  }

  #noteDialed(node: HostPort, error: unknown): void {
    if (error === null) this.#nodeErrors.delete(formatNode(node));
    else this.#nodeErrors.set(formatNode(node), error);
  }
}

function toNode(client: Redis, isMaster: boolean): RedisNode {
  const { host = '', port = 0 } = client.options;
  return { name: formatNode({ host, port }), client, isMaster };
}

/** As ioredis names it in `cluster.slots`. */
function keyOf(client: Redis): string {
  return `${client.options.host}:${client.options.port}`;
}

function ignore(): void {}
