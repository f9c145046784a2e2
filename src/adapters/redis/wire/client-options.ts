import type { ClusterOptions, RedisOptions as IoredisOptions } from 'ioredis';
import { connectorOf, KEEP_ALIVE_MS } from './dial.js';
import { formatNode, type HostPort, isKnownHost, parseKey } from './node-address.js';
import type { RedisOptions } from './redis-options.js';

export function nodeOptions(options: RedisOptions, { host, port }: HostPort) {
  return { ...commonOptions(options), host, port };
}

export function clusterOptions(options: RedisOptions) {
  const { nodes, timeoutMs } = options;
  return {
    lazyConnect: true,
    redisOptions: commonOptions(options),
    // With no node left, the connection ends and the next use opens another one. ioredis would retry forever.
    clusterRetryStrategy: () => null,
    // The check uses CLUSTER INFO and reconnects forever if the ACL forbids that (ioredis 6.0).
    enableReadyCheck: false,
    // Seeds are tried in turn: a silent one must leave time for the next.
    slotsRefreshTimeout: Math.max(Math.min(timeoutMs / 2, 500), timeoutMs / (nodes.length + 1)),
    // ioredis 6.0 tries 16 times. That must end before the timeout, or the error would hide the failover.
    retryDelayOnFailover: Math.min(300, timeoutMs / 20),
    retryDelayOnClusterDown: Math.min(300, timeoutMs / 20),
    // Certificates carry names, and one name that does not resolve must not fail the rest.
    dnsLookup: (name, callback) => callback(null, name),
    natMap: (key) => ({ ...reachedAt(options, parseKey(key)) }),
  } satisfies ClusterOptions;
}

/** Maps an advertised node address to a reachable one; an unknown host becomes that of `nodes[0]`. */
export function reachedAt({ natMap, nodes }: RedisOptions, advertised: HostPort): HostPort {
  const host = isKnownHost(advertised.host) ? advertised.host : (nodes[0]?.host ?? '');
  const reached = { host, port: advertised.port };
  return natMap?.[formatNode(reached)] ?? reached;
}

/** ioredis 6.0 keeps the process alive this long after a disconnect, even if it never connected. */
export const DISCONNECT_TIMEOUT_MS = 50;

/** Returns how long a connection may be silent: leaves time for a second attempt, and exceeds any WAIT. */
export function silenceMs(timeoutMs: number): number {
  return Math.min(2000, 0.6 * timeoutMs);
}

function commonOptions(options: RedisOptions) {
  return {
    Connector: connectorOf(options, DISCONNECT_TIMEOUT_MS),
    protocol: 2,
    lazyConnect: true,
    socketTimeout: silenceMs(options.timeoutMs),
    keepAlive: KEEP_ALIVE_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    // The check costs an INFO per connection. A loading server answers LOADING anyway.
    enableReadyCheck: false,
    disableClientInfo: true,
  } satisfies IoredisOptions;
}
