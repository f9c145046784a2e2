import type { RecordCall } from '../../../domain/ports/index.js';
import type { ReadCredentials } from '../../../domain/shared/credentials.js';
import type { HostPort } from './node-address.js';

export type RedisMode = 'cluster' | 'standalone' | 'sentinel';

export interface SentinelOptions {
  /** The name under which the Sentinels watch the master. */
  master: string;
  /** For the Sentinels themselves. */
  credentials?: ReadCredentials | undefined;
}

export interface RedisOptions {
  /** Some nodes of the cluster (the rest is discovered), the single server, or the Sentinels. */
  nodes: readonly HostPort[];
  mode: RedisMode;
  /** Required if `mode` is `sentinel`. */
  sentinel?: SentinelOptions | undefined;
  username?: string | undefined;
  credentials?: ReadCredentials | undefined;
  isTls?: boolean | undefined;
  /** Maps advertised `host:port` addresses to reachable ones. IPv6 in brackets. */
  natMap?: Readonly<Record<string, HostPort>> | undefined;
  timeoutMs: number;
  /** Called for each new connection. `askTime` resolves with the server's time in NumericDate seconds. */
  compareClock?: ((askTime: () => Promise<number>) => void) | undefined;
  /** Called after each attempt to connect; `error` is null if it succeeded. */
  onDialed?: ((node: HostPort, error: unknown) => void) | undefined;
  recordCall?: RecordCall | undefined;
}
