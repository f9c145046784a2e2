import { type RawBuilder, sql } from 'kysely';

export type Engine = 'mysql' | 'sqlite';

/**
 * What each engine calls a column that compares byte for byte.
 *
 * MySQL's collations pad (`'alice '` equals `'alice'` under utf8mb4_bin) or exist on one of MySQL and MariaDB only;
 * VARBINARY behaves the same on both. SQLite compares TEXT byte for byte, and would give a column that is declared
 * VARBINARY numeric affinity: the subject `007` would become 7.
 */
export function bytes(engine: Engine, length: number): RawBuilder<string> {
  return engine === 'mysql' ? sql.raw(`varbinary(${length})`) : sql`text`;
}

/** A word from a fixed list of ours. */
export function word(engine: Engine, length: number): RawBuilder<string> {
  return engine === 'mysql' ? sql.raw(`varchar(${length}) character set ascii collate ascii_bin`) : sql`text`;
}

/** Text for people, in any script. */
export function textColumn(engine: Engine, length: number): RawBuilder<string> {
  return engine === 'mysql' ? sql.raw(`varchar(${length}) character set utf8mb4`) : sql`text`;
}

/** ASCII of some kilobytes: PEM, JWE. */
export function asciiText(engine: Engine): RawBuilder<string> {
  return engine === 'mysql' ? sql`text character set ascii collate ascii_bin` : sql`text`;
}

/** An id that the engine hands out, never twice: SQLite would reuse the id of a deleted last row without AUTOINCREMENT. */
export function generatedId(engine: Engine): RawBuilder<number> {
  return engine === 'mysql' ? sql`bigint` : sql`integer`;
}
