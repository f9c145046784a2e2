import type { ReadCredentials } from '../../../domain/shared/credentials.js';
import type { HostPort } from './node-address.js';

export interface RedisOptions {
  /** Some nodes of the cluster (the rest is discovered), or the single server. */
  nodes: readonly HostPort[];
  mode: 'cluster' | 'standalone';
  username?: string | undefined;
  /** Called for each connection. Default: no password and no TLS. */
  credentials?: ReadCredentials | undefined;
  /** Whether the credentials will include TLS. */
  isTls?: boolean | undefined;
  /** Maps advertised `host:port` addresses to reachable ones. IPv6 in brackets. */
  natMap?: Readonly<Record<string, HostPort>> | undefined;
  /** Applies to connecting and to each reply. */
  timeoutMs: number;
  /** Called for each new connection. `askTime` resolves with the server's time in NumericDate seconds. */
  compareClock?: ((askTime: () => Promise<number>) => void) | undefined;
  /** Called after each attempt to connect; `error` is null if it succeeded. */
  onDialed?: ((node: HostPort, error: unknown) => void) | undefined;
}
