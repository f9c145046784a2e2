import type { ClusterOptions, RedisOptions as IoredisOptions } from 'ioredis';
import type { ReadCredentials } from '../../domain/credentials.js';
import { connectorOf, KEEP_ALIVE_MS } from './dial.js';
import { formatNode, type HostPort, parseKey } from './node-address.js';

export interface RedisOptions {
  /** Some nodes of the cluster, the rest is discovered; or the one server. */
  nodes: readonly HostPort[];
  mode: 'cluster' | 'standalone';
  username?: string | undefined;
  /** Asked for each connection. Default: neither a password nor TLS. */
  credentials?: ReadCredentials | undefined;
  /** Whether the credentials will have TLS. */
  isTls?: boolean | undefined;
  /** From `host:port` as the cluster announces a node to where it is reached from here. IPv6 in brackets. */
  natMap?: Readonly<Record<string, HostPort>> | undefined;
  /** For connecting, and for each answer. */
  timeoutMs: number;
  /** Called with each new connection. @param askTime resolves with the server's time, in NumericDate seconds */
  compareClock?: ((askTime: () => Promise<number>) => void) | undefined;
  /** Hears of each connection that was opened, or why it was not. */
  onDialed?: ((node: HostPort, error: unknown) => void) | undefined;
}

/** For a connection to one server. */
export function nodeOptions(options: RedisOptions, { host, port }: HostPort) {
  return { ...commonOptions(options), host, port };
}

export function clusterOptions(options: RedisOptions) {
  const { nodes, timeoutMs } = options;
  return {
    lazyConnect: true,
    redisOptions: commonOptions(options),
    // Once no node is left this connection ends, and the next use opens another one: ioredis would try for ever.
    clusterRetryStrategy: () => null,
    // Its own check asks CLUSTER INFO, and reconnects for ever where that is not permitted (ioredis 6.0).
    enableReadyCheck: false,
    // Seeds are asked one after the other: one that is silent must leave time for the next.
    slotsRefreshTimeout: Math.max(Math.min(timeoutMs / 2, 500), timeoutMs / (nodes.length + 1)),
    // Sixteen of these (ioredis 6.0) end before the time-out does, so that the error tells of a failover.
    retryDelayOnFailover: Math.min(300, timeoutMs / 20),
    retryDelayOnClusterDown: Math.min(300, timeoutMs / 20),
    // Names stay names, for certificates carry names; and one name that does not resolve must not fail all.
    dnsLookup: (name, callback) => callback(null, name),
    natMap: (key) => ({ ...reachedAt(options, parseKey(key)) }),
  } satisfies ClusterOptions;
}

/**
 * Where a node is reached that the cluster announces as `announced`. A redirect without a host means the host that was
 * asked (`cluster-preferred-endpoint-type unknown-endpoint`), which is that of the configured nodes.
 */
export function reachedAt({ natMap, nodes }: RedisOptions, announced: HostPort): HostPort {
  const host = announced.host || (nodes[0]?.host ?? '');
  const reached = { host, port: announced.port };
  return natMap?.[formatNode(reached)] ?? reached;
}

/** ioredis 6.0 keeps the process alive for so long after it disconnects, even from a server that was never there. */
export const DISCONNECT_TIMEOUT_MS = 50;

/**
 * After so many milliseconds without an answer a connection is given up and another one is tried. It leaves time for
 * that within the time-out, and is longer than any WAIT.
 */
export function silenceMs(timeoutMs: number): number {
  return Math.min(2000, 0.6 * timeoutMs);
}

function commonOptions(options: RedisOptions) {
  return {
    Connector: connectorOf(options, DISCONNECT_TIMEOUT_MS),
    protocol: 2,
    lazyConnect: true,
    // A server that hangs keeps its connections open, and so does a dead path: this drops them.
    socketTimeout: silenceMs(options.timeoutMs),
    keepAlive: KEEP_ALIVE_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    // It would cost each connection an INFO. What is loading answers LOADING.
    enableReadyCheck: false,
    disableClientInfo: true,
  } satisfies IoredisOptions;
}
