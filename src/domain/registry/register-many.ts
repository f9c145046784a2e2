import type { EntryStore, Registration, TokenStatusReader } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

/**
 * Registers a batch. Entries in a part of the registry that did not answer are tried once more; registering an entry twice
 * changes nothing.
 *
 * With a limit of tokens per subject, the second attempt only checks whether the entry exists. Registering again could bring
 * back an entry that has since been removed for the limit, and push out a newer one.
 *
 * @returns as {@link EntryStore.registerMany}
 * @throws JwtctlError (unavailable) if no entry could be registered
 */
export async function registerMany(
  registry: EntryStore & TokenStatusReader,
  registrations: readonly Registration[],
): Promise<Array<JwtctlError | null>> {
  const errors = await attempt(registry, registrations);
  const unsettled = [...errors.keys()].filter((index) => isWorthRetrying(errors[index]));
  if (unsettled.length > 0) {
    const again = unsettled.map((index) => registrations[index] as Registration);
    const isCapped = again.some(({ maxPerSubject }) => maxPerSubject !== undefined);
    const settled = await (isCapped ? lookUp(registry, again) : attempt(registry, again));
    for (const [place, index] of unsettled.entries()) {
      // If the entry is not found, report the first failure.
      errors[index] = settled[place] === undefined ? (errors[index] ?? null) : (settled[place] ?? null);
    }
  }
  const [first] = errors;
  if (first && errors.every((error) => error?.kind === 'unavailable')) throw first;
  return errors;
}

async function attempt(
  registry: EntryStore,
  registrations: readonly Registration[],
): Promise<Array<JwtctlError | null>> {
  try {
    return await registry.registerMany(registrations);
  } catch (error) {
    if (!(error instanceof JwtctlError) || error.kind !== 'unavailable') throw error;
    return registrations.map(() => error);
  }
}

/** Returns null for each entry that exists, undefined for any other. */
async function lookUp(
  registry: TokenStatusReader,
  registrations: readonly Registration[],
): Promise<Array<null | undefined>> {
  // In one turn of the event loop, so that the registry sends them together.
  const looks = registrations.map(({ sub, entry, now }) => registry.tokenStatus(sub, entry, now));
  return (await Promise.allSettled(looks)).map((look) =>
    look.status === 'fulfilled' && look.value.exp !== null ? null : undefined,
  );
}

function isWorthRetrying(error: JwtctlError | null | undefined): boolean {
  return error?.kind === 'unavailable' && !REFUSALS.has(error.code);
}

/** A login or a permission gets no better by being tried again. */
const REFUSALS = new Set(['ERR_REDIS_AUTH', 'ERR_REDIS_FORBIDDEN']);
