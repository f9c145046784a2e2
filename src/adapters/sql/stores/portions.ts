/** SQLite allows 32,766 parameters per statement, and MySQL limits the packet size. */
const PORTION = 1_000;

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
