import type { Batcher } from './cluster/batcher.js';
import type { RedisConnection } from './cluster/redis-connection.js';
import type { Keyspace } from './keyspace.js';

export interface WholeRegistry {
  connection: RedisConnection;
  batcher: Batcher;
  keyspace: Keyspace;
}
