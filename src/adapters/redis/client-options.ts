import { isIP } from 'node:net';
import type { ClusterOptions, RedisOptions as IoredisOptions } from 'ioredis';

export interface HostPort {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

type Pem = string | Buffer;

export interface RedisOptions {
  /** Some nodes of the cluster, the rest is discovered; or the one server. */
  nodes: readonly HostPort[];
  mode: 'cluster' | 'standalone';
  username?: string | undefined;
  password?: string | undefined;
  /** PEM contents. An empty object means TLS with the system's CAs. */
  tls?: { ca?: Pem | undefined; cert?: Pem | undefined; key?: Pem | undefined } | undefined;
  /** From `host:port` as the cluster announces a node to where it is reached from here. IPv6 in brackets. */
  natMap?: Readonly<Record<string, HostPort>> | undefined;
  /** For connecting, and for each answer. */
  timeoutMs: number;
  /** Called with each new connection. @param askTime resolves with the server's time, in NumericDate seconds */
  compareClock?: ((askTime: () => Promise<number>) => void) | undefined;
}

/** For a connection to one server. */
export function nodeOptions(options: RedisOptions, { host, port }: HostPort) {
  const common = commonOptions(options);
  // Node sends no server name by itself, and a managed Redis may choose its certificate by it.
  const tls =
    common.tls !== undefined && isIP(host) === 0 ? { tls: { ...common.tls, servername: host } } : {};
  return { ...common, ...tls, host, port };
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
    retryDelayOnFailover: Math.min(300, timeoutMs / 16),
    retryDelayOnClusterDown: Math.min(300, timeoutMs / 16),
    // Names stay names, for certificates carry names; and one name that does not resolve must not fail all.
    dnsLookup: (name, callback) => callback(null, name),
    natMap: (key) => nodeOptions(options, reachedAt(options, parseKey(key))),
  } satisfies ClusterOptions;
}

/** Where a node is reached that the cluster announces as `announced`. */
export function reachedAt({ natMap }: RedisOptions, announced: HostPort): HostPort {
  return natMap?.[formatNode(announced)] ?? announced;
}

/** `host:port`, IPv6 in brackets. */
export function formatNode({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Of ioredis's own form, which has no brackets. */
export function parseKey(key: string): HostPort {
  const colon = key.lastIndexOf(':');
  return { host: key.slice(0, colon), port: Number(key.slice(colon + 1)) };
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

/**
 * Sooner than a firewall in between forgets an idle connection. Node has Linux send ten probes, a second apart, before
 * it drops a connection that nobody answers on.
 */
export const KEEP_ALIVE_MS = 5000;

function commonOptions({ username, password, tls, timeoutMs }: RedisOptions) {
  return {
    // With the password alone ioredis 6.0 writes a warning to the console where none was needed.
    ...(password === undefined ? {} : { username: username ?? 'default', password }),
    ...(tls === undefined ? {} : { tls: { ca: tls.ca, cert: tls.cert, key: tls.key } }),
    protocol: 2,
    lazyConnect: true,
    connectTimeout: timeoutMs,
    // A server that hangs keeps its connections open, and so does a dead path: this drops them.
    socketTimeout: silenceMs(timeoutMs),
    keepAlive: KEEP_ALIVE_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    // It would cost each connection an INFO. What is loading answers LOADING.
    enableReadyCheck: false,
    disableClientInfo: true,
  } satisfies IoredisOptions;
}
