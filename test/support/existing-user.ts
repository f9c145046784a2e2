import type { Stores } from './stores.js';

/** Adds a user as an older version or another program did, with any subject. */
export async function insertUser(stores: Stores, sub: string, name: string | null = null): Promise<void> {
  const now = stores.clock.now();
  const parameters = name === null ? [sub] : [sub, name];
  await stores.query(
    `INSERT INTO users (sub, name, status, version, created_at, updated_at)
     VALUES (?, ${name === null ? 'NULL' : '?'}, 'enabled', 1, ${now}, ${now})`,
    parameters,
  );
}
