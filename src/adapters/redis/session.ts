import { Batcher } from './cluster/batcher.js';
import type { RedisConnection } from './cluster/redis-connection.js';
import type { Script } from './cluster/script.js';
import type { Keyspace } from './keyspace.js';
import type { Reply } from './wire/pipeline.js';

export class RegistrySession {
  readonly connection: RedisConnection;
  readonly keyspace: Keyspace;
  readonly batcher: Batcher;

  constructor(connection: RedisConnection, keyspace: Keyspace) {
    this.connection = connection;
    this.keyspace = keyspace;
    this.batcher = new Batcher(connection);
  }

  async run(
    script: Script,
    slot: number,
    keys: readonly string[],
    args: ReadonlyArray<string | number>,
  ): Promise<unknown> {
    return this.unwrap((await this.batcher.send({ slot, keys, script, args })).replies[0]);
  }

  unwrap(reply: Reply): unknown {
    if (reply instanceof Error) throw this.connection.translate(reply);
    return reply;
  }
}
