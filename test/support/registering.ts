import type { EntryStore, Registration } from '../../src/domain/ports/index.js';

/** Registers one entry, and throws its error. */
export async function registerOne(
  registry: Pick<EntryStore, 'registerMany'>,
  sub: string,
  entry: Registration['entry'],
  options: Omit<Registration, 'sub' | 'entry'>,
): Promise<void> {
  const [outcome] = await registry.registerMany([{ sub, entry, ...options }]);
  if (outcome instanceof Error) throw outcome;
}
