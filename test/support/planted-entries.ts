import { keyspace } from '../../src/adapters/redis/keyspace.js';
import type { Stores } from './stores.js';

export interface PlantedEntry {
  jti: string;
  /** The id of the key. */
  keyId: number;
  iat: number;
  exp: number;
}

const CLOCK_TOLERANCE_SECONDS = 5;

/** Writes entries directly, without the usual checks, so that expired ones are possible. */
export async function plant(stores: Stores, sub: string, entries: readonly PlantedEntry[]): Promise<void> {
  if (stores.redis === null) {
    for (const { jti, keyId, iat, exp } of entries) {
      await stores.query('INSERT INTO registry_entries (sub, jti, key_id, iat, exp) VALUES (?, ?, ?, ?, ?)', [
        ...[sub, jti, String(keyId), String(iat), String(exp)],
      ]);
    }
    return;
  }
  const { client } = stores.redis;
  const key = setOf(stores, sub);
  for (const { jti, keyId, iat, exp } of entries) {
    await client.zadd(key, exp, `${keyId.toString(36)}.${iat.toString(36)}.${jti}`);
  }
  await client.expireat(key, Math.max(...entries.map(({ exp }) => exp)) + CLOCK_TOLERANCE_SECONDS);
}

/** Returns the sorted set of a subject. */
export function setOf({ redis }: Stores, sub: string): string {
  return keyspace(redis?.prefix ?? '').keysOf(sub).entries;
}

/** Maps each kid to the id of its key. */
export async function keyIds(stores: Stores): Promise<Record<string, number>> {
  const rows = await stores.query('SELECT id, kid FROM keystore');
  return Object.fromEntries(rows.map(({ id, kid }) => [String(kid), Number(id)]));
}
