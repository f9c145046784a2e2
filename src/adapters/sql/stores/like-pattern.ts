import { type RawBuilder, sql } from 'kysely';

/**
 * Returns a condition that narrows a search for text, or null if SQL cannot: SQLite ignores the case of ASCII
 * letters only. May select too many rows on MySQL, whose collation decides what is equal.
 */
export function mayContain(
  columns: ReadonlyArray<RawBuilder<unknown>>,
  searched: string,
): RawBuilder<boolean> | null {
  if (!/^[\x20-\x7e]+$/.test(searched)) return null;
  // Not a backslash, whose meaning depends on MySQL's sql_mode.
  const pattern = `%${searched.toLowerCase().replace(/[!%_]/g, '!$&')}%`;
  const conditions = columns.map((column) => sql`lower(cast(${column} as char)) like ${pattern} escape '!'`);
  return sql<boolean>`(${sql.join(conditions, sql` or `)})`;
}
