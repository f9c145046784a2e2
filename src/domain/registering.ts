import { JwtctlError } from './errors.js';
import type { Registration, TokenRegistry } from './ports.js';

/**
 * Registers a batch. Where a part of the registry did not answer, it is tried once more: an entry that is there already is
 * not changed.
 *
 * Where a subject may have only so many tokens the registry is only asked whether the entry is there. Registered again, an
 * entry that had made room since would come back and push out a newer one.
 *
 * @returns what {@link TokenRegistry.registerMany} does
 * @throws JwtctlError (unavailable) where nothing could be registered at all
 */
export async function registerMany(
  registry: TokenRegistry,
  registrations: readonly Registration[],
): Promise<Array<JwtctlError | null>> {
  const errors = await attempt(registry, registrations);
  const unsettled = [...errors.keys()].filter((index) => isWorthRetrying(errors[index]));
  if (unsettled.length > 0) {
    const again = unsettled.map((index) => registrations[index] as Registration);
    const isCapped = again.some(({ maxPerSubject }) => maxPerSubject !== undefined);
    const settled = await (isCapped ? lookUp(registry, again) : attempt(registry, again));
    for (const [place, index] of unsettled.entries()) {
      // Not found is no reason of its own: the first failure is.
      errors[index] = settled[place] === undefined ? (errors[index] ?? null) : (settled[place] ?? null);
    }
  }
  const [first] = errors;
  if (first && errors.every((error) => error?.kind === 'unavailable')) throw first;
  return errors;
}

async function attempt(
  registry: TokenRegistry,
  registrations: readonly Registration[],
): Promise<Array<JwtctlError | null>> {
  try {
    return await registry.registerMany(registrations);
  } catch (error) {
    if (!(error instanceof JwtctlError) || error.kind !== 'unavailable') throw error;
    return registrations.map(() => error);
  }
}

/** Null for each entry that is there, undefined for any other. */
async function lookUp(
  registry: TokenRegistry,
  registrations: readonly Registration[],
): Promise<Array<null | undefined>> {
  // In one turn of the event loop: the registry asks for all of them together.
  const looks = registrations.map(({ sub, entry, now }) => registry.standing(sub, entry, now));
  return (await Promise.allSettled(looks)).map((look) =>
    look.status === 'fulfilled' && look.value.exp !== null ? null : undefined,
  );
}

function isWorthRetrying(error: JwtctlError | null | undefined): boolean {
  return error?.kind === 'unavailable' && !REFUSALS.has(error.code);
}

/** A login or a permission gets no better by being tried again. */
const REFUSALS = new Set(['ERR_REDIS_AUTH', 'ERR_REDIS_FORBIDDEN']);
