import { once } from 'node:events';
import { Cluster, Redis } from 'ioredis';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { Breaker } from '../wire/circuit-breaker.js';
import { DISCONNECT_TIMEOUT_MS, reachedAt } from '../wire/client-options.js';
import { formatNode, type HostPort, parseKey } from '../wire/node-address.js';
import { type Command, type Reply, unwrap, withDeadline } from '../wire/pipeline.js';
import { ReadConnection } from '../wire/read-connection.js';
import {
  clusterDown,
  fromNode,
  hasCode,
  innermost,
  isVague,
  type RedisAddress,
  reasonOf,
  translateError,
} from '../wire/redis-errors.js';
import type { RedisMode, RedisOptions } from '../wire/redis-options.js';
import { integerIn, textsOrNullsIn } from '../wire/reply-shapes.js';
import { findMaster } from './find-master.js';
import { openCluster, openStandalone } from './open-client.js';

export type { RedisOptions } from '../wire/redis-options.js';

export interface RedisNode {
  name: string;
  client: Redis;
  /** As of the last refresh of the slots. */
  isMaster: boolean;
}

/** Connects on first use and after all connections are lost. No call takes much longer than `timeoutMs`. */
export class RedisConnection {
  readonly mode: RedisMode;
  readonly isTls: boolean;
  readonly timeoutMs: number;
  readonly #seeds: RedisAddress;
  readonly options: RedisOptions;
  readonly #confirming = new Map<Redis, Redis>();
  readonly #reading = new Map<string, ReadConnection>();
  readonly #nodeErrors = new Map<string, unknown>();
  /** By server name, shared by all connections to the server. */
  readonly #breakers = new Map<string, Breaker>();
  /** Refuses callers while the cluster cannot be opened. */
  readonly #opener = new Breaker();
  #losses = 0;
  /** The last answer of the Sentinels. */
  #master: HostPort | null = null;
  #client: Cluster | Redis | null = null;
  #opening: Promise<void> | null = null;
  #isClosed = false;

  constructor(options: RedisOptions) {
    this.options = { ...options, onDialed: (node, error) => this.#recordDial(node, error) };
    this.mode = options.mode;
    this.isTls = options.isTls === true;
    this.timeoutMs = options.timeoutMs;
    const nodes = options.mode === 'standalone' ? options.nodes.slice(0, 1) : options.nodes;
    this.#seeds = { nodes: nodes.map(formatNode), mode: options.mode, username: options.username };
  }

  /** Names the servers in messages. */
  get address(): RedisAddress {
    return this.#master === null ? this.#seeds : { ...this.#seeds, nodes: [formatNode(this.#master)] };
  }

  get isReady(): boolean {
    return this.#client !== null;
  }

  get losses(): number {
    return this.#losses;
  }

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

  /** Returns the master of each slot; undefined if it is unknown or not connected. */
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

  /** Returns the last known master of each slot, connected or not, in the form of {@link parseKey}. */
  ownerKeys(): (slot: number) => string | undefined {
    const client = this.#client;
    if (client instanceof Cluster) return (slot) => client.slots[slot]?.[0];
    const node = this.#master ?? this.options.nodes[0];
    const key = node && `${node.host}:${node.port}`;
    return () => key;
  }

  breaker(name: string): Breaker {
    const known = this.#breakers.get(name);
    if (known !== undefined) return known;
    const fresh = new Breaker();
    this.#breakers.set(name, fresh);
    return fresh;
  }

  /** Sends a command to the current master of a slot. @throws JwtctlError if no server answers */
  async tryAgain(key: string, slot: number): Promise<void> {
    const name = this.ownerName(slot);
    try {
      await this.refresh();
      await this.follow(['exists', key], this.timeoutMs, name);
    } catch (error) {
      throw this.translate(fromNode(error, name));
    }
  }

  ownerName(slot: number): string | undefined {
    if (this.#client === null || this.#client instanceof Redis) return this.address.nodes[0];
    const key = this.#client.slots[slot]?.[0];
    return key === undefined ? undefined : formatNode(parseKey(key));
  }

  nodes(): RedisNode[] {
    if (this.#client === null) return [];
    if (this.#client instanceof Redis) return [toNode(this.#client, true)];
    const masters = new Set(this.#client.nodes('master'));
    return this.#client.nodes('all').map((redis) => toNode(redis, masters.has(redis)));
  }

  /** Returns the name that {@link nodes} uses for an advertised address. */
  nameOf(advertised: HostPort): string {
    return formatNode(reachedAt(this.options, advertised));
  }

  /** Returns a second connection, for commands that delay the ones after them (WAIT). */
  confirming(node: RedisNode): Redis {
    const known = this.#confirming.get(node.client);
    if (known !== undefined) return known;
    const client = node.client.duplicate({ retryStrategy: () => null, lazyConnect: true });
    client.on('error', ignore);
    client.once('end', () => this.#confirming.delete(node.client));
    this.#confirming.set(node.client, client);
    return client;
  }

  /** Returns a connection for large reads. Once it is lost, the next call returns another one. */
  reading(node: RedisNode): ReadConnection {
    const known = this.#reading.get(node.name);
    if (known !== undefined && !known.isLost) return known;
    const { host = '', port = 0 } = node.client.options;
    const fresh = new ReadConnection(this.options, { host, port });
    this.#reading.set(node.name, fresh);
    return fresh;
  }

  /** Sends a command to the current master of its key. Follows MOVED and ASK, and waits for a failover. */
  async follow([name, ...args]: Command, timeoutMs: number, lastMaster?: string): Promise<unknown> {
    await this.ready();
    const client = this.#client;
    if (client === null) throw new Error('The connection was lost right after it opened.');
    try {
      return await withDeadline(client.call(name, ...args), timeoutMs);
    } catch (error) {
      // ioredis's own errors have no code. While other nodes answer, they mean a failover.
      if (hasCode(error) || !(client instanceof Cluster)) throw error;
      const reason = innermost(error);
      if (reason instanceof JwtctlError) throw reason;
      if (!client.nodes('all').some(({ status }) => status === 'ready')) throw error;
      const where = this.address.nodes.join(', ');
      const address = lastMaster === undefined ? this.address : { ...this.address, nodes: [lastMaster] };
      throw clusterDown(
        lastMaster === undefined
          ? `A master of the Redis Cluster at ${where} does not respond.`
          : `The Redis Cluster master ${lastMaster} does not respond.`,
        address,
        error,
      );
    }
  }

  async refresh(): Promise<void> {
    const client = this.#client;
    if (client === null) return this.ready();
    if (client instanceof Redis) return this.#followMaster(client);
    const refreshed = new Promise<void>((resolve) => client.refreshSlotsCache(() => resolve()));
    await withDeadline(refreshed, this.timeoutMs).catch(ignore);
  }

  /** Sentinels may have chosen another master while the old one still answers, or hangs. */
  async #followMaster(client: Redis): Promise<void> {
    const { sentinel } = this.options;
    if (this.mode !== 'sentinel' || sentinel === undefined) return;
    const master = await findMaster(this.options, sentinel).catch(() => null);
    if (master === null || formatNode(master) === this.address.nodes[0]) return;
    if (this.#client === client) this.#client = null;
    client.disconnect();
    await this.ready();
  }

  /** Prefers the reason why no connection could be opened, because ioredis's own errors say little. */
  translate(error: unknown): unknown {
    return translateError(isVague(error) ? (this.refusal ?? error) : error, this.address);
  }

  /** @param read returns the reply in the form of the command, or throws */
  unwrap<T>(reply: Reply, read: (reply: Reply) => T, node?: string): T {
    try {
      return read(unwrap(reply));
    } catch (error) {
      throw this.translate(fromNode(error, node));
    }
  }

  /** Why no connection can be opened, if the reason lasts: a bad certificate, an unreadable file. */
  get refusal(): JwtctlError | null {
    return [...this.#nodeErrors.values()].find((error) => error instanceof JwtctlError) ?? null;
  }

  reasonFor(name: string, error: unknown): string {
    // A pipeline reports only "Connection is closed".
    return reasonOf(hasCode(error) ? error : (this.#nodeErrors.get(name) ?? error));
  }

  /** Explains why the last attempt to connect to a server failed; null if it succeeded. */
  dialFailure(name: string): string | null {
    const error = this.#nodeErrors.get(name);
    return error === undefined ? null : reasonOf(error);
  }

  /** Closes all connections, so that none keeps the process alive. May be called again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const client of this.#confirming.values()) client.disconnect();
    for (const connection of this.#reading.values()) connection.close();
    const client = this.#client;
    this.#client = null;
    if (client === null) return this.#opening?.catch(ignore);
    // QUIT would wait for a hung server.
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
        : await this.#openSingle();
    if (this.#isClosed) return client.disconnect();
    this.#client = client;
    client.on('-node', () => {
      this.#losses += 1;
    });
    this.options.compareClock?.(async () => {
      const [seconds] = textsOrNullsIn(await client.call('time'), 2);
      return integerIn(Number(seconds));
    });
    client.once('end', () => {
      if (this.#client === client) this.#client = null;
    });
  }

  async #openSingle(): Promise<Redis> {
    const { sentinel } = this.options;
    if (sentinel !== undefined) this.#master = await findMaster(this.options, sentinel);
    const nodes = this.#master === null ? this.options.nodes : [this.#master];
    return openStandalone({ ...this.options, nodes }, this.address);
  }

  #recordDial(node: HostPort, error: unknown): void {
    if (error === null) this.#nodeErrors.delete(formatNode(node));
    else this.#nodeErrors.set(formatNode(node), error);
  }
}

function toNode(client: Redis, isMaster: boolean): RedisNode {
  const { host = '', port = 0 } = client.options;
  return { name: formatNode({ host, port }), client, isMaster };
}

function keyOf(client: Redis): string {
  return `${client.options.host}:${client.options.port}`;
}

function ignore(): void {}
