import type { Kysely } from 'kysely';
import { SqliteTokenRegistry } from '../../src/adapters/sql/registry/token-registry.js';
import type { Schema } from '../../src/adapters/sql/schema.js';
import { sqlDatabase } from '../../src/adapters/sql/stores/database.js';
import type { Database, TokenRegistry } from '../../src/domain/ports/index.js';
import { createMigrated, sqlite } from './sql-engines.js';

export const CLOCK_TOLERANCE_SECONDS = 5;
/** Of registries that store when each token was last seen. */
export const IDLE_TIMEOUT_SECONDS = 600;

export interface EmbeddedStores {
  db: Kysely<Schema>;
  database: Database;
  registry: TokenRegistry;
  /** The same, and stores when each token was last seen. */
  recording: TokenRegistry;
  close(): Promise<void>;
}

/** Creates empty embedded stores in a new file. */
export async function openEmbeddedStores(): Promise<EmbeddedStores> {
  const { db, close } = await createMigrated(sqlite);
  const options = { file: 'jwtctl.db', clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS };
  const registry = new SqliteTokenRegistry(db, options);
  const recording = new SqliteTokenRegistry(db, { ...options, idleTimeoutSeconds: IDLE_TIMEOUT_SECONDS });
  return { db, database: sqlDatabase(db), registry, recording, close };
}
