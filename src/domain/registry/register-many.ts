import type { EntryStore, Registration, RegistrationOutcome, TokenStatusReader } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

/**
 * Registers a batch, and retries unavailable entries once. With `maxPerSubject`, the retry only checks
 * whether the entry exists, because registering it again could remove a newer one. A retried entry counts as added,
 * because the first attempt may have added it.
 * @throws JwtctlError (unavailable) if no entry could be registered
 */
export async function registerMany(
  registry: EntryStore & TokenStatusReader,
  registrations: readonly Registration[],
): Promise<RegistrationOutcome[]> {
  const outcomes = await attempt(registry, registrations);
  const unsettled = [...outcomes.keys()].filter((index) => isWorthRetrying(outcomes[index]));
  if (unsettled.length > 0) {
    const again = unsettled.map((index) => registrations[index] as Registration);
    const isCapped = again.some(({ maxPerSubject }) => maxPerSubject !== undefined);
    const settled = await (isCapped ? lookUp(registry, again) : attempt(registry, again));
    for (const [position, index] of unsettled.entries()) {
      const outcome = settled[position];
      if (outcome !== undefined) outcomes[index] = outcome === 'known' ? 'added' : outcome;
    }
  }
  const [first] = outcomes;
  if (first instanceof JwtctlError && outcomes.every(isUnavailable)) throw first;
  return outcomes;
}

async function attempt(
  registry: EntryStore,
  registrations: readonly Registration[],
): Promise<RegistrationOutcome[]> {
  try {
    return await registry.registerMany(registrations);
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    return registrations.map(() => error);
  }
}

async function lookUp(
  registry: TokenStatusReader,
  registrations: readonly Registration[],
): Promise<Array<RegistrationOutcome | undefined>> {
  const looks = registrations.map(({ sub, entry, now }) => registry.tokenStatus(sub, entry, now));
  return (await Promise.allSettled(looks)).map((look) =>
    look.status === 'fulfilled' && look.value.exp !== null ? 'known' : undefined,
  );
}

export function isWorthRetrying(outcome: unknown): boolean {
  return isUnavailable(outcome) && !REFUSALS.has(outcome.code);
}

export function isUnavailable(outcome: unknown): outcome is JwtctlError {
  return outcome instanceof JwtctlError && outcome.kind === 'unavailable';
}

const REFUSALS = new Set(['ERR_REDIS_AUTH', 'ERR_REDIS_FORBIDDEN']);
