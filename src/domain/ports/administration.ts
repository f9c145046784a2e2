import type { Clock } from './clock.js';
import type { Database } from './database.js';
import type { TokenRegistry } from './token-registry.js';

/** The ports that every revocation needs. */
export interface Administration {
  database: Database;
  registry: TokenRegistry;
  clock: Clock;
  actor: string;
}
