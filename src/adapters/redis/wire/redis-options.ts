import type { ReadCredentials } from '../../../domain/shared/credentials.js';
import type { HostPort } from './node-address.js';

export interface RedisOptions {
  /** Some nodes of the cluster, the rest is discovered; or the one server. */
  nodes: readonly HostPort[];
  mode: 'cluster' | 'standalone';
  username?: string | undefined;
  /** Called for each connection. Default: no password and no TLS. */
  credentials?: ReadCredentials | undefined;
  /** Whether the credentials will include TLS. */
  isTls?: boolean | undefined;
  /** From `host:port` as the cluster announces a node to where it is reached from here. IPv6 in brackets. */
  natMap?: Readonly<Record<string, HostPort>> | undefined;
  /** For connecting, and for each answer. */
  timeoutMs: number;
  /** Called with each new connection. @param askTime resolves with the server's time, in NumericDate seconds */
  compareClock?: ((askTime: () => Promise<number>) => void) | undefined;
  /** Called after each attempt to connect; `error` says why it failed. */
  onDialed?: ((node: HostPort, error: unknown) => void) | undefined;
}
