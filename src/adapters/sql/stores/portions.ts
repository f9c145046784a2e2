/** SQLite takes 32,766 parameters in a statement, and a server packets of some megabytes. */
const PORTION = 1_000;

/** Asks for many by as few queries as the engines allow: one, where there are no more than a portion. */
export async function inPortions<Key, Row>(
  keys: readonly Key[],
  query: (portion: readonly Key[]) => Promise<readonly Row[]>,
  size = PORTION,
): Promise<Row[]> {
  const found: Row[] = [];
  for (let from = 0; from < keys.length; from += size) {
    for (const row of await query(keys.slice(from, from + size))) found.push(row);
  }
  return found;
}
