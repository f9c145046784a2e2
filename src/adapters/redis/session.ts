import type { Batcher } from './cluster/batcher.js';
import type { RedisConnection } from './cluster/redis-connection.js';
import type { Keyspace } from './keyspace.js';

/** What the rooms above share. */
export interface RegistrySession {
  readonly connection: RedisConnection;
  readonly keyspace: Keyspace;
  readonly batcher: Batcher;
}
