import type { EntryStore, Registration, TokenStatusReader } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

/**
 * Registers a batch, and retries unavailable entries once. With `maxPerSubject`, the retry only checks
 * whether the entry exists, because registering it again could remove a newer one.
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
    for (const [position, index] of unsettled.entries()) {
      const outcome = settled[position];
      if (outcome !== undefined) errors[index] = outcome;
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

async function lookUp(
  registry: TokenStatusReader,
  registrations: readonly Registration[],
): Promise<Array<null | undefined>> {
  const looks = registrations.map(({ sub, entry, now }) => registry.tokenStatus(sub, entry, now));
  return (await Promise.allSettled(looks)).map((look) =>
    look.status === 'fulfilled' && look.value.exp !== null ? null : undefined,
  );
}

export function isWorthRetrying(error: JwtctlError | null | undefined): boolean {
  return error?.kind === 'unavailable' && !REFUSALS.has(error.code);
}

const REFUSALS = new Set(['ERR_REDIS_AUTH', 'ERR_REDIS_FORBIDDEN']);
