import { JwtctlError } from '../shared/errors.js';

export interface SkippedKey {
  /** From the file, unchecked. */
  kid: string | null;
  error: JwtctlError;
}

/**
 * Returns what `read` makes of each item, and the items that it refuses with an error of the kind `usage` or `state`.
 * @throws JwtctlError the first of these errors if `read` refuses all items; any other error
 */
export async function collectKeys<Item, Key>(
  items: readonly Item[],
  kidOf: (item: Item) => string | null,
  read: (item: Item, index: number) => Key | Promise<Key>,
): Promise<{ keys: Key[]; skipped: SkippedKey[] }> {
  const keys: Key[] = [];
  const skipped: SkippedKey[] = [];
  for (const [index, item] of items.entries()) {
    try {
      keys.push(await read(item, index));
    } catch (error) {
      if (!(error instanceof JwtctlError) || !['usage', 'state'].includes(error.kind)) throw error;
      skipped.push({ kid: kidOf(item), error });
    }
  }
  if (keys.length === 0 && skipped[0] !== undefined) throw skipped[0].error;
  return { keys, skipped };
}
