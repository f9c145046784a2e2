import type { ClusterOptions, RedisOptions as IoredisOptions } from 'ioredis';
import { connectorOf, KEEP_ALIVE_MS } from './dial.js';
import { formatNode, type HostPort, isKnownHost, parseKey } from './node-address.js';
import type { RedisOptions } from './redis-options.js';

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
    // ioredis 6.0 makes sixteen attempts. They must end before the timeout, so that the error reports the failover.
    retryDelayOnFailover: Math.min(300, timeoutMs / 20),
    retryDelayOnClusterDown: Math.min(300, timeoutMs / 20),
    // Names stay names, for certificates carry names; and one name that does not resolve must not fail all.
    dnsLookup: (name, callback) => callback(null, name),
    natMap: (key) => ({ ...reachedAt(options, parseKey(key)) }),
  } satisfies ClusterOptions;
}

/**
 * Returns the address to connect to for a node that the cluster announces as `announced`. A redirect without a
 * known host (see `cluster-preferred-endpoint-type`) means the host of the configured nodes.
 */
export function reachedAt({ natMap, nodes }: RedisOptions, announced: HostPort): HostPort {
  const host = isKnownHost(announced.host) ? announced.host : (nodes[0]?.host ?? '');
  const reached = { host, port: announced.port };
  return natMap?.[formatNode(reached)] ?? reached;
}

/** ioredis 6.0 keeps the process alive for so long after it disconnects, even from a server that was never there. */
export const DISCONNECT_TIMEOUT_MS = 50;

/**
 * Returns how many milliseconds a connection may stay silent before it is dropped and another one is tried. This leaves
 * time for the second attempt within the timeout, and is longer than any WAIT.
 */
export function silenceMs(timeoutMs: number): number {
  return Math.min(2000, 0.6 * timeoutMs);
}

function commonOptions(options: RedisOptions) {
  return {
    Connector: connectorOf(options, DISCONNECT_TIMEOUT_MS),
    protocol: 2,
    lazyConnect: true,
    // A hung server or a dead network path leaves connections open. This drops them.
    socketTimeout: silenceMs(options.timeoutMs),
    keepAlive: KEEP_ALIVE_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    // It would cost each connection an INFO. What is loading answers LOADING.
    enableReadyCheck: false,
    disableClientInfo: true,
  } satisfies IoredisOptions;
}
