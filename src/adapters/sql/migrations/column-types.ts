import { type RawBuilder, sql } from 'kysely';

export type Engine = 'mysql' | 'sqlite';

/**
 * Compares byte for byte. MySQL's collations pad (`'alice '` equals `'alice'` under utf8mb4_bin) or exist on
 * only one of MySQL and MariaDB. VARBINARY behaves the same on both. SQLite compares TEXT byte for byte, but
 * gives a VARBINARY column numeric affinity: the subject `007` would become 7.
 */
export function bytes(engine: Engine, length: number): RawBuilder<string> {
  return engine === 'mysql' ? sql.raw(`varbinary(${length})`) : sql`text`;
}

export function word(engine: Engine, length: number): RawBuilder<string> {
  return engine === 'mysql' ? sql.raw(`varchar(${length}) character set ascii collate ascii_bin`) : sql`text`;
}

export function textColumn(engine: Engine, length: number): RawBuilder<string> {
  return engine === 'mysql' ? sql.raw(`varchar(${length}) character set utf8mb4`) : sql`text`;
}

export function asciiText(engine: Engine): RawBuilder<string> {
  return engine === 'mysql' ? sql`text character set ascii collate ascii_bin` : sql`text`;
}

/** Ids are never reused. SQLite needs AUTOINCREMENT for this, or it reuses the id of a deleted last row. */
export function generatedId(engine: Engine): RawBuilder<number> {
  return engine === 'mysql' ? sql`bigint` : sql`integer`;
}
