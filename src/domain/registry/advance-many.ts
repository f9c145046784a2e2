import type { FamilyOutcome, FamilyStep, FamilyStore } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { isUnavailable, isWorthRetrying } from './register-many.js';

/**
 * Makes steps, and repeats unavailable ones once. A repeated step that was done before is `replayed`.
 * @throws JwtctlError (unavailable) if no step could be made
 */
export async function advanceMany(
  registry: FamilyStore,
  steps: readonly FamilyStep[],
): Promise<Array<FamilyOutcome | JwtctlError>> {
  const outcomes = await attempt(registry, steps);
  const unsettled = [...outcomes.keys()].filter((index) => isWorthRetrying(outcomes[index]));
  if (unsettled.length > 0) {
    const again = await attempt(
      registry,
      unsettled.map((index) => steps[index] as FamilyStep),
    );
    for (const [position, index] of unsettled.entries()) {
      outcomes[index] = again[position] as FamilyOutcome | JwtctlError;
    }
  }
  const [first] = outcomes;
  if (first instanceof JwtctlError && outcomes.every(isUnavailable)) throw first;
  return outcomes;
}

async function attempt(registry: FamilyStore, steps: readonly FamilyStep[]) {
  try {
    return await registry.advanceFamilies(steps);
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    return steps.map(() => error);
  }
}
