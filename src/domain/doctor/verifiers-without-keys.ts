import { type Fleet, nameVerifiers, withoutKey } from '../fleet/running-verifiers.js';
import type { SigningKey } from '../model/signing-key.js';

/** Returns a sentence for each key that a running verifier lacks. Verifiers report only the active and pending keys. */
export function verifiersWithoutKeys(fleet: Fleet, keys: readonly SigningKey[]): string[] {
  return keys
    .filter(({ state }) => state === 'active' || state === 'pending')
    .flatMap(({ kid, state }) => {
      const without = withoutKey(fleet, kid);
      if (without.length === 0) return [];
      return [`These verifiers have not loaded the ${state} key ${kid}: ${nameVerifiers(without)}.`];
    });
}
